// sluice queue, sites, providers, jobs: the daemon's lists as tables.
#include <fmt/format.h>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/http_client.h"
#include "ingest/live_client.h"
#include "ingest/terminal.h"

namespace ingest {

using nlohmann::ordered_json;

namespace {

constexpr size_t progress_columns = 20;

/// "5", "10", … "1280+": minutes, as qshape heads its columns.
std::vector<std::string> age_heads(const ordered_json& bounds) {
    std::vector<std::string> heads;
    for (const ordered_json& bound : bounds)
        heads.push_back(fmt::format("{}m", bound.get<int64_t>() / 60));
    if (!heads.empty()) heads.push_back(heads.back() + "+");
    return heads;
}

void add_ages(std::vector<std::string>& row, const ordered_json& ages) {
    for (const ordered_json& count : ages)
        row.push_back(count == 0 ? "." : grouped(count.get<uint64_t>()));
}

std::string rows_of_domain(const ordered_json& domain) {
    const uint64_t waiting = count_of(domain, "waiting");
    const uint64_t on_disk = count_of(domain, "rows_on_disk");
    const bool exact = domain.value("rows_on_disk_exact", true);
    return (exact ? "" : ">") + grouped(std::max(waiting, on_disk));
}

void print_queue(const ordered_json& answer) {
    if (count_of(answer, "domains_count") == 0) {
        fmt::print("nothing waits\n");
        return;
    }
    Table table;
    std::vector<std::string> head{"", "waiting", "sending", "oldest"};
    for (auto& age : age_heads(member_of(answer, "age_bounds_seconds")))
        head.push_back(std::move(age));
    table.add(std::move(head));
    const auto add = [&](const std::string& name, const std::string& waiting,
                         const ordered_json& of) {
        std::vector<std::string> row{
            name, waiting, grouped(count_of(of, "sending")),
            of.contains("oldest_seconds") ? short_seconds(number_of(of, "oldest_seconds")) : ""};
        add_ages(row, member_of(of, "ages"));
        table.add(std::move(row));
    };
    add("TOTAL", grouped(count_of(answer, "waiting")), answer);
    for (const ordered_json& domain : member_of(answer, "domains"))
        add(text_of(domain, "domain"), rows_of_domain(domain), domain);
    fmt::print("{}", table.text(""));
    const uint64_t on_disk = count_of(answer, "domains_partly_on_disk");
    if (on_disk > 0) {
        fmt::print("domains longer than memory: {}; ages and the total count what is in memory\n",
                   grouped(on_disk));
    }
}

std::string of_limit(uint64_t is, uint64_t most) {
    return most == 0 ? grouped(is) : fmt::format("{} of {}", grouped(is), grouped(most));
}

void print_sites(const ordered_json& answer) {
    const ordered_json& sites = member_of(answer, "sites");
    if (sites.empty()) {
        fmt::print("no site has work\n");
        return;
    }
    Table table;
    table.add(
        {"site", "provider", "ready", "sending", "connections", "shards", "held back by", "for"});
    for (const ordered_json& site : sites) {
        table.add({text_of(site, "site"), text_of(site, "provider"),
                   grouped(count_of(site, "ready")), grouped(count_of(site, "sending")),
                   of_limit(count_of(site, "connections"), count_of(site, "connections_max")),
                   shards_words(site), held_words(site),
                   site.contains("limited_for_seconds")
                       ? short_seconds(number_of(site, "limited_for_seconds"))
                       : ""});
    }
    fmt::print("{}", table.text(""));
}

void print_providers(const ordered_json& answer) {
    Table table;
    table.add({"provider", "sites", "ready", "sending", "busy", "idle", "per site",
               "sites held back by"});
    for (const ordered_json& one : member_of(answer, "providers")) {
        std::string limits;
        for (const auto& [limit, sites] : member_of(one, "limits").items())
            limits += fmt::format("{}{} ({})", limits.empty() ? "" : ", ", limit_words(limit),
                                  sites.get<uint64_t>());
        const uint64_t connections = count_of(one, "connections_max_per_site");
        const double rate = number_of(one, "rate_max_per_site");
        table.add({text_of(one, "provider"), grouped(count_of(one, "sites")),
                   grouped(count_of(one, "ready")), grouped(count_of(one, "sending")),
                   grouped(count_of(one, "connections_busy")),
                   grouped(count_of(one, "connections_idle")),
                   fmt::format("{} connections{}", connections == 0 ? "any" : grouped(connections),
                               rate > 0 ? fmt::format(", {}/s", short_rate(rate)) : ""),
                   limits});
    }
    fmt::print("{}", table.text(""));
}

void print_jobs(const ordered_json& answer) {
    const ordered_json& jobs = member_of(answer, "jobs");
    if (jobs.empty()) {
        fmt::print("no job fits\n");
        return;
    }
    Table table;
    table.add({"job", "tenant", "campaign", "recipients", "progress", "delivered", "bounced",
               "rate", "finish"});
    for (const ordered_json& job : jobs) {
        const double accepted = std::max(number_of(job, "accepted"), 1.0);
        const double share = (accepted - number_of(job, "open")) / accepted;
        const std::string finished = text_of(job, "finished");
        table.add({text_of(job, "job"), text_of(job, "tenant"), text_of(job, "campaign"),
                   grouped(count_of(job, "accepted")),
                   fmt::format("{} {:3.0f}%", bar(share, progress_columns), share * 100),
                   grouped(count_of(job, "delivered")), grouped(count_of(job, "bounced")),
                   short_rate(number_of(job, "rate_per_second")) + "/s",
                   finished.empty() ? text_of(job, "estimated_finish") : finished});
    }
    fmt::print("{}", table.text(""));
    if (answer.contains("before"))
        fmt::print("older ones: --before {}\n", text_of(answer, "before"));
}

using Printer = void (*)(const ordered_json&);

int show(std::string_view command, const ClientOptions& client, const std::string& target,
         Printer print) {
    const auto answer = ask(client.server, target);
    if (!answer) return failed(command, answer.error());
    if (client.output == Output::json) {
        fmt::print("{}\n", answer->dump(-1, ' ', false, ordered_json::error_handler_t::replace));
    } else {
        print(*answer);
    }
    return 0;
}

/// A path with the parameters that have a value.
class Target {
  public:
    explicit Target(std::string path) : text_(std::move(path)) {}
    Target& with(std::string_view name, const std::string& value) {
        if (value.empty()) return *this;
        text_ +=
            fmt::format("{}{}={}", text_.contains('?') ? '&' : '?', name, percent_encoded(value));
        return *this;
    }
    Target& with(std::string_view name, uint64_t value) {
        return with(name, std::to_string(value));
    }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

}  // namespace

int queue(const ListOptions& options) {
    return show("queue", options.client,
                Target("/v1/queues")
                    .with("limit", options.limit)
                    .with("sort", options.sort)
                    .with("domain", options.domain)
                    .with("campaign", options.campaign)
                    .with("tenant", options.tenant)
                    .text(),
                print_queue);
}

int sites(const ListOptions& options) {
    return show(
        "sites", options.client,
        Target("/v1/sites").with("limit", options.limit).with("provider", options.provider).text(),
        print_sites);
}

int providers(const ClientOptions& client) {
    return show("providers", client, "/v1/providers", print_providers);
}

int jobs(const ListOptions& options) {
    return show("jobs", options.client,
                Target("/v1/jobs")
                    .with("limit", options.limit)
                    .with("state", options.state)
                    .with("campaign", options.campaign)
                    .with("tenant", options.tenant)
                    .with("before", options.before)
                    .text(),
                print_jobs);
}

}  // namespace ingest

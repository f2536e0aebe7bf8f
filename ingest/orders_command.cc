// sluice pause, resume and cancel: orders about mail that is under way.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/http_client.h"
#include "ingest/terminal.h"

namespace ingest {

namespace {

using nlohmann::json;
constexpr auto count_patience = std::chrono::seconds(600);  // millions of rows are read for it
constexpr std::array<std::string_view, 9> reach_names{
    "job", "recipient", "domain", "campaign", "class", "tenant", "provider", "site", "source"};

json members(const ReachWords& words) {
    json out = json::object();
    const auto put = [&](const char* name, const std::optional<std::string>& value) {
        if (value) out[name] = *value;
    };
    put("job", words.job);
    put("recipient", words.recipient);
    put("domain", words.domain);
    put("campaign", words.campaign);
    put("class", words.klass);
    put("tenant", words.tenant);
    put("provider", words.provider);
    put("site", words.site);
    put("source", words.source);
    if (words.all) out["all"] = true;
    return out;
}

/// "campaign nov, tenant acme", of what an order or a request names.
std::string words_of(const json& order) {
    std::string text;
    for (const std::string_view name : reach_names) {
        const auto found = order.find(name);
        if (found == order.end() || !found->is_string()) continue;
        text +=
            fmt::format("{}{} {}", text.empty() ? "" : ", ", name,
                        found->get<std::string>().empty() ? "(none)" : found->get<std::string>());
    }
    return printable(text.empty() ? "all mail" : text);
}

std::string deliveries(uint64_t count) {
    return fmt::format("{} {}", grouped(count), count == 1 ? "delivery" : "deliveries");
}

std::expected<json, std::string> ask(const ClientOptions& client, std::string method,
                                     std::string target, const json& body) {
    HttpCall one{.server = client.server, .method = std::move(method), .target = std::move(target)};
    if (!body.is_null()) {
        one.fields = {{"Content-Type", "application/json"}};
        one.body = body.dump();
    }
    one.silence_max = count_patience;
    const auto reply = call(one);
    if (!reply) return std::unexpected(reply.error());
    if (!reply->ok()) return std::unexpected(readable_errors(reply->status, reply->body));
    json answer = json::parse(reply->body, nullptr, false);
    if (!answer.is_object()) return std::unexpected("the answer is not a JSON object");
    return answer;
}

std::string text_of(const json& order, const char* name) {
    const auto found = order.find(name);
    return found != order.end() && found->is_string() ? found->get<std::string>() : std::string();
}

int list_suspensions(const ClientOptions& client, std::string_view command) {
    const auto answer = ask(client, "GET", "/v1/suspensions", nullptr);
    if (!answer) return failed(command, answer.error());
    if (client.output == Output::json) {
        fmt::print("{}\n", answer->dump());
        return 0;
    }
    Table table;
    for (const json& one : answer->value("suspensions", json::array())) {
        const std::string state = one.contains("route")
                                      ? fmt::format("by {}", one["route"].dump())
                                      : deliveries(one.value("held", uint64_t{0})) + " held";
        const std::string until = text_of(one, "until");
        table.add({text_of(one, "suspension"), words_of(one), printable(state),
                   until.empty() ? "until resumed" : "until " + until,
                   printable(text_of(one, "reason"))});
    }
    fmt::print("{}", table.empty() ? "nothing is suspended\n" : table.text(""));
    return 0;
}

/// The ids that `words` mean: an id itself, or those that name exactly the same.
std::expected<std::vector<std::string>, std::string> meant(const ResumeOptions& options) {
    if (!options.id.empty()) return std::vector{options.id};
    const auto answer = ask(options.client, "GET", "/v1/suspensions", nullptr);
    if (!answer) return std::unexpected(answer.error());
    const json wanted = members(options.reach);
    std::vector<std::string> ids;
    for (const json& one : answer->value("suspensions", json::array())) {
        json named = json::object();
        for (const std::string_view name : reach_names)
            if (one.contains(name)) named[name] = one[name];
        if (one.contains("all")) named["all"] = true;
        if (named == wanted) ids.push_back(text_of(one, "suspension"));
    }
    if (ids.empty())
        return std::unexpected(fmt::format(
            "no suspension names just {}; `sluice resume` lists them", words_of(wanted)));
    return ids;
}

}  // namespace

int pause(const PauseOptions& options) {
    json body = members(options.reach);
    if (body.empty() && options.lasts.empty() && options.reason.empty() && options.route.empty())
        return list_suspensions(options.client, "pause");
    if (!options.lasts.empty()) body["for"] = options.lasts;
    if (!options.until.empty()) body["until"] = options.until;
    if (!options.reason.empty()) body["reason"] = options.reason;
    if (!options.route.empty()) body["route"] = options.route;
    const auto answer = ask(options.client, "POST", "/v1/suspensions?count=true", body);
    if (!answer) return failed("pause", answer.error());
    if (options.client.output == Output::json) {
        fmt::print("{}\n", answer->dump());
        return 0;
    }
    const std::string until = text_of(*answer, "until");
    fmt::print("{} {} ({}): {} waiting now, {}\n", options.route.empty() ? "paused" : "rerouted",
               text_of(*answer, "suspension"), words_of(*answer),
               deliveries(answer->value("deliveries", uint64_t{0})),
               until.empty() ? "until `sluice resume`" : "until " + until);
    return 0;
}

int resume(const ResumeOptions& options) {
    if (options.id.empty() && members(options.reach).empty())
        return list_suspensions(options.client, "resume");
    const auto ids = meant(options);
    if (!ids) return failed("resume", ids.error());
    json ended = json::array();
    for (const std::string& id : *ids) {
        const auto answer =
            ask(options.client, "DELETE", "/v1/suspensions/" + percent_encoded(id), nullptr);
        if (!answer) return failed("resume", answer.error());
        if (options.client.output == Output::text)
            fmt::print("resumed {} ({})\n", text_of(*answer, "suspension"), words_of(*answer));
        ended.push_back(*answer);
    }
    if (options.client.output == Output::json) fmt::print("{}\n", json{{"resumed", ended}}.dump());
    return 0;
}

int cancel(const CancelOptions& options) {
    json body = members(options.reach);
    if (body.empty())
        return failed("cancel", "says not what; name a job, --campaign, --tenant, --to, --domain");
    const std::string what = words_of(body);
    if (!options.reason.empty()) body["reason"] = options.reason;
    const bool yes = options.consent == CancelOptions::Consent::given;
    const auto answer =
        ask(options.client, "POST",
            yes ? "/v1/cancellations?count=true" : "/v1/cancellations?dry_run=true", body);
    if (!answer) return failed("cancel", answer.error());
    const std::string count = deliveries(answer->value("deliveries", uint64_t{0}));
    if (options.client.output == Output::json)
        fmt::print("{}\n", answer->dump());
    else if (yes)
        fmt::print("cancelled {} ({}): {} are ended in the background, one event each\n",
                   text_of(*answer, "cancellation"), what, count);
    else
        fmt::print("{}: {} would be cancelled\n", what, count);
    if (!yes) fmt::print(stderr, "sluice cancel: nothing was cancelled; say --yes to do it\n");
    return yes ? 0 : 1;
}

}  // namespace ingest

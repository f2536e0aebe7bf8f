#include "ingest/queues_api.h"

#include <algorithm>
#include <utility>

#include "ingest/json_out.h"
#include "ingest/query_reader.h"
#include "ingest/units.h"

namespace ingest {

using engine::DomainQueues;
using engine::Task;
using storage::WallTime;

namespace {

using Row = std::pair<std::string, DomainQueues>;

void append_ages(std::string& out, const engine::Ages& ages) {
    out += '[';
    for (size_t i = 0; i < ages.size(); ++i) {
        if (i > 0) out += ',';
        out += std::to_string(ages[i]);
    }
    out += ']';
}

void append_age_bounds(std::string& out) {
    out += '[';
    for (const auto bound : engine::age_bounds) {
        if (out.back() != '[') out += ',';
        out += std::to_string(std::chrono::seconds(bound).count());
    }
    out += ']';
}

double seconds_between(WallTime from, WallTime to) {
    return std::max(std::chrono::duration<double>(to - from).count(), 0.0);
}

/// Rows on disk of what is not all in memory. They are counted for those that are shown only.
struct DiskCount {
    uint64_t rows = 0;
    bool exact = true;
};

std::vector<DiskCount> count_on_disk(storage::Store& store, const std::vector<Row>& rows) {
    std::vector<DiskCount> counts(rows.size());
    uint64_t left = QueueLimits::counted_max;
    for (size_t i = 0; i < rows.size(); ++i) {
        const auto& queues = rows[i].second.on_disk;
        counts[i].exact = queues.size() < engine::QueueQuestion::on_disk_max;
        for (const storage::QueueId id : queues) {
            const auto counted = left > 0 ? store.count_queue(id, left) : 0;
            counts[i].rows += counted.value_or(0);
            left -= counted.value_or(0);
            counts[i].exact &= counted && left > 0;
        }
    }
    return counts;
}

void append_domain(std::string& out, const Row& row, const DiskCount& disk, WallTime now) {
    const auto& [domain, queues] = row;
    JsonObject object(out);
    object.text("domain", domain);
    object.number("waiting", queues.waiting).number("sending", queues.lent);
    object.number("queues", queues.queues);
    if (!queues.on_disk.empty()) {
        object.number("rows_on_disk", disk.rows).flag("rows_on_disk_exact", disk.exact);
    }
    if (queues.oldest) object.number("oldest_seconds", seconds_between(*queues.oldest, now));
    if (queues.next_due) object.text("next_due", format_time(*queues.next_due));
    object.key("ages");
    append_ages(out, queues.ages);
    object.close();
}

std::vector<Row> top_rows(engine::QueueOverview&& overview, std::string_view sort, size_t limit) {
    std::vector<Row> rows(std::make_move_iterator(overview.domains.begin()),
                          std::make_move_iterator(overview.domains.end()));
    const auto by_age = [](const Row& a, const Row& b) {
        return a.second.oldest.value_or(WallTime::max()) <
               b.second.oldest.value_or(WallTime::max());
    };
    const auto by_size = [](const Row& a, const Row& b) {
        // A queue that is longer than memory is longer than any that is not.
        const auto size = [](const DomainQueues& q) {
            return std::pair(!q.on_disk.empty(), q.waiting + q.lent);
        };
        return size(a.second) > size(b.second);
    };
    const auto end = rows.begin() + static_cast<ptrdiff_t>(std::min(limit, rows.size()));
    if (sort == "age")
        std::ranges::partial_sort(rows, end, by_age);
    else
        std::ranges::partial_sort(rows, end, by_size);
    rows.erase(end, rows.end());
    return rows;
}

std::string last_segment(const HttpRequest& request) {
    return request.path.substr(request.path.rfind('/') + 1);
}

engine::Limits limits_of(const engine::Settings& settings, std::string_view provider) {
    engine::Limits limits = settings.limits;
    const auto named =
        std::ranges::find(settings.providers, provider, [](const auto& p) { return p.name; });
    if (named != settings.providers.end()) named->limits.lie_on(limits);
    return limits;
}

}  // namespace

void append_site(std::string& out, const engine::SiteView& site) {
    JsonObject object(out);
    object.text("site", site.site).text("provider", site.provider);
    object.number("ready", site.ready).number("sending", site.sending);
    object.number("connections", site.open).number("connections_busy", site.busy);
    object.number("connections_idle", site.idle).number("connections_opening", site.opening);
    object.number("connections_max", site.connections_max);
    object.number("messages_per_connection", site.messages_per_connection);
    object.number("rate_max", site.rate_per_second);
    object.number("shards", site.shards).text_if("spread_ended", site.spread_ended);
    object.text_if("limit", site.limit);
    if (site.limited_for) {
        object.number("limited_for_seconds",
                      std::chrono::duration<double>(*site.limited_for).count());
    }
    object.text_if("limit_origin", site.limit_origin).text_if("limit_reason", site.limit_reason);
    object.key("paths");
    out += '[';
    for (const auto& path : site.paths) {
        if (&path != site.paths.data()) out += ',';
        JsonObject one(out);
        one.text("source", path.source).number("connections", path.open);
        if (path.learned_rate > 0) one.number("learned_rate", path.learned_rate);
        if (path.learned_connections > 0)
            one.number("learned_connections", path.learned_connections);
        one.close();
    }
    out += ']';
    object.close();
}

Task<> get_queues(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    QueryReader parameters(request);
    const uint64_t limit =
        parameters.count("limit", QueueLimits::rows_default, QueueLimits::rows_max);
    const auto sort = parameters.word("sort", {"size", "age"});
    engine::QueueQuestion question{.tenant = parameters.text("tenant"),
                                   .campaign = parameters.text("campaign"),
                                   .domain = parameters.text("domain")};
    if (auto no = parameters.refusal()) co_return co_await connection.answer(std::move(*no));
    if (!request.tenant.empty()) question.tenant = request.tenant;

    auto overview = co_await context.node.queues(std::move(question));
    const WallTime now = context.intake.now();
    DomainQueues total;
    size_t on_disk = 0;
    for (const auto& [domain, queues] : overview.domains) {
        total.add(queues);
        on_disk += !queues.on_disk.empty();
    }
    const size_t domains = overview.domains.size();
    const bool whole = overview.whole;
    const std::vector<Row> rows = top_rows(std::move(overview), sort, limit);
    std::vector<DiskCount> disk;
    co_await context.worker.run([&] { disk = count_on_disk(context.store, rows); });

    std::string body;
    JsonObject object(body);
    object.text("time", format_time(now)).number("domains_count", domains);
    object.flag("whole", whole).number("waiting", total.waiting).number("sending", total.lent);
    object.number("domains_partly_on_disk", on_disk);
    if (total.oldest) object.number("oldest_seconds", seconds_between(*total.oldest, now));
    object.key("age_bounds_seconds");
    append_age_bounds(body);
    object.key("ages");
    append_ages(body, total.ages);
    object.key("domains");
    body += '[';
    for (size_t i = 0; i < rows.size(); ++i) {
        if (i > 0) body += ',';
        append_domain(body, rows[i], disk[i], now);
    }
    body += ']';
    object.close();
    co_await connection.answer({.body = std::move(body) + "\n"});
}

Task<> get_sites(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    QueryReader parameters(request);
    const uint64_t limit =
        parameters.count("limit", QueueLimits::rows_default, QueueLimits::rows_max);
    engine::SiteQuestion question{.provider = parameters.text("provider"), .limit = limit};
    if (auto no = parameters.refusal()) co_return co_await connection.answer(std::move(*no));
    const auto overview = co_await context.node.sites(std::move(question));
    std::string body;
    JsonObject object(body);
    object.text("time", format_time(context.intake.now())).number("sites_count", overview.count);
    object.key("sites");
    body += '[';
    for (const engine::SiteView& site : overview.sites) {
        if (&site != overview.sites.data()) body += ',';
        append_site(body, site);
    }
    body += ']';
    object.close();
    co_await connection.answer({.body = std::move(body) + "\n"});
}

Task<> get_site(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    const auto overview = co_await context.node.sites({.site = last_segment(request)});
    if (overview.sites.empty()) {
        co_return co_await connection.answer(
            to_answer(404, {"site.unknown",
                            "nothing was sent to this site lately",
                            {},
                            "GET /v1/sites lists them; events name a delivery's site"}));
    }
    std::string body;
    append_site(body, overview.sites.front());
    co_await connection.answer({.body = std::move(body) + "\n"});
}

Task<> get_providers(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    QueryReader parameters(request);
    if (auto no = parameters.refusal()) co_return co_await connection.answer(std::move(*no));
    engine::ProviderOverview providers = co_await context.node.providers();
    // Those that are configured are shown with nothing to do, too.
    if (context.config) {
        for (const auto& provider : context.config->delivery.providers)
            providers.try_emplace(provider.name);
    }
    std::string body;
    JsonObject object(body);
    object.text("time", format_time(context.intake.now()));
    object.key("providers");
    body += '[';
    bool first = true;
    for (const auto& [name, provider] : providers) {
        if (!std::exchange(first, false)) body += ',';
        JsonObject one(body);
        one.text("provider", name).number("sites", provider.sites);
        one.number("ready", provider.ready).number("sending", provider.sending);
        one.number("connections_busy", provider.busy).number("connections_idle", provider.idle);
        one.number("connections_opening", provider.opening);
        if (context.config) {
            const engine::Limits limits = limits_of(context.config->delivery, name);
            one.number("connections_max_per_site", limits.connections);
            one.number("rate_max_per_site", limits.rate_per_second);
            one.number("messages_per_connection", limits.messages_per_connection);
        }
        one.number("sites_limited", provider.limited);
        one.key("limits");
        JsonObject limits(body);
        for (const auto& [limit, sites] : provider.limits) limits.number(limit, sites);
        limits.close();
        one.close();
    }
    body += ']';
    object.close();
    co_await connection.answer({.body = std::move(body) + "\n"});
}

}  // namespace ingest

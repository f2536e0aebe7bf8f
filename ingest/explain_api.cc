#include "ingest/explain_api.h"

#include <fmt/format.h>

#include <utility>

#include "engine/message/address.h"
#include "ingest/json_out.h"
#include "ingest/order_json.h"
#include "ingest/query_reader.h"
#include "ingest/queues_api.h"
#include "ingest/units.h"

namespace ingest {

using engine::Explanation;
using engine::LimitKey;
using engine::Limits;
using engine::Task;

namespace {

std::string number_text(uint64_t number) {
    return number == 0 ? "no limit" : std::to_string(number);
}

std::string rate_text(double per_second) {
    if (per_second <= 0) return "no limit";
    if (per_second >= 1) return fmt::format("{:g}/s", per_second);
    if (per_second * 60 >= 1) return fmt::format("{:g}/m", per_second * 60);
    return fmt::format("{:g}/h", per_second * 3600);
}

std::string_view tls_text(engine::TlsPolicy policy) {
    switch (policy) {
        case engine::TlsPolicy::none:
            return "none";
        case engine::TlsPolicy::opportunistic:
            return "opportunistic";
        case engine::TlsPolicy::required:
            return "required";
        case engine::TlsPolicy::verified:
            return "verified";
    }
    return "";
}

std::string value_of(const Limits& limits, LimitKey key) {
    switch (key) {
        case LimitKey::connections:
            return number_text(limits.connections);
        case LimitKey::connection_rate:
            return rate_text(limits.connection_rate_per_second);
        case LimitKey::rate:
            return rate_text(limits.rate_per_second);
        case LimitKey::messages_per_connection:
            return number_text(limits.messages_per_connection);
        case LimitKey::recipients_per_transaction:
            return number_text(limits.recipients_per_transaction);
        case LimitKey::idle:
            return format_duration(limits.idle);
        case LimitKey::tls:
            return std::string(tls_text(limits.tls));
        case LimitKey::depth:
            return std::string(to_string(limits.depth));
        case LimitKey::window:
            return std::to_string(limits.window);
    }
    return {};
}

/// What a section has set of one limit: another value, or the same at another place.
struct Step {
    std::string section, value, origin;
};

std::vector<Step> steps_of(const Explanation& said, LimitKey key) {
    std::vector<Step> steps;
    for (const auto& [section, limits] : said.limits) {
        Step step{section, value_of(limits, key), limits.origin(key)};
        if (steps.empty()) {
            if (step.origin.empty()) step.section = "default";
        } else if (steps.back().value == step.value && steps.back().origin == step.origin) {
            continue;
        }
        steps.push_back(std::move(step));
    }
    return steps;
}

void append_limits(std::string& out, const Explanation& said) {
    out += '[';
    for (size_t i = 0; i < engine::limit_key_count && !said.limits.empty(); ++i) {
        if (i > 0) out += ',';
        const auto key = static_cast<LimitKey>(i);
        const std::vector<Step> steps = steps_of(said, key);
        JsonObject object(out);
        object.text("limit", to_string(key)).text("value", steps.back().value);
        object.text("section", steps.back().section).text_if("origin", steps.back().origin);
        object.key("overrode");
        out += '[';
        for (size_t below = steps.size() - 1; below-- > 0;) {
            JsonObject one(out);
            one.text("value", steps[below].value)
                .text("section", steps[below].section)
                .text_if("origin", steps[below].origin)
                .close();
            if (below > 0) out += ',';
        }
        out += ']';
        object.close();
    }
    out += ']';
}

/// What a source holds its connections to, beyond the limits of the site.
void append_sources(std::string& out, const Explanation& said) {
    out += '[';
    bool first = true;
    for (const engine::SourceExplanation& source : said.sources) {
        for (size_t i = 0; i < engine::limit_key_count; ++i) {
            const auto key = static_cast<LimitKey>(i);
            std::string value = value_of(source.limits, key);
            if (value == value_of(said.limits.back().second, key)) continue;
            if (!std::exchange(first, false)) out += ',';
            JsonObject(out)
                .text("source", source.name)
                .text("limit", to_string(key))
                .text("value", value)
                .text_if("origin", source.limits.origin(key))
                .close();
        }
    }
    out += ']';
}

void append_totals(std::string& out, const Explanation& said) {
    out += '[';
    bool first = true;
    for (const auto& [key, limits] : said.totals) {
        for (size_t i = 0; i < engine::total_limit_count; ++i) {
            const auto limit = static_cast<engine::TotalLimit>(i);
            if (!limits.sets(limit)) continue;
            if (!std::exchange(first, false)) out += ',';
            JsonObject(out)
                .text("of", to_string(key.of))
                .text("name", key.name)
                .text("limit", to_string(limit))
                .text("words", words_of(key, limits, limit))
                .text_if("origin", limits.origin(limit))
                .close();
        }
    }
    out += ']';
}

std::string demand_text(const engine::TlsDemand& demand) {
    if (demand.use == engine::TlsDemand::Use::never) return "never";
    return demand.least == engine::TlsLevel::plain ? "when offered"
                                                   : std::string(to_string(demand.least));
}

void append_hosts(std::string& out, const Explanation& said) {
    out += '[';
    for (const engine::HostExplanation& one : said.hosts) {
        if (&one != said.hosts.data()) out += ',';
        JsonObject object(out);
        object.text("host", one.host.name).number("preference", one.host.preference);
        object.number("port", one.host.port).flag("tls_first", one.host.tls_first);
        object.key("addresses");
        out += '[';
        for (const std::string& address : one.addresses) {
            if (&address != one.addresses.data()) out += ',';
            append_json_string(out, address);
        }
        out += ']';
        object.text_if("problem", one.problem);
        if (one.no_tls.empty())
            object.text("tls", demand_text(one.tls)).text_if("tls_by", one.tls.policy);
        else
            object.text("tls_unknown", one.no_tls);
        object.close();
    }
    out += ']';
}

void append_route(std::string& out, const Explanation& said) {
    JsonObject object(out);
    if (said.no_route) {
        object.text("problem", said.no_route->reason).flag("permanent", said.no_route->permanent);
    } else {
        object.text("by", !said.route_of.empty() ? said.route_of
                          : said.implicit        ? "the domain's own address (no MX)"
                                                 : "MX");
        object.flag("dnssec", said.authenticated);
        if (said.route_left)
            object.number("seconds_left", std::chrono::duration<double>(*said.route_left).count());
    }
    object.key("hosts");
    append_hosts(out, said);
    object.close();
}

void append_sts(std::string& out, const engine::StsAnswer& sts) {
    JsonObject object(out);
    object.text("mta_sts", sts.policy         ? std::string(to_string(sts.policy->mode))
                           : sts.miss.empty() ? "none"
                                              : sts.miss);
    object.close();
}

void append_orders(std::string& out, const Explanation& said) {
    out += '[';
    for (const engine::Suspension& order : said.orders) {
        if (&order != said.orders.data()) out += ',';
        JsonObject object(out);
        append_suspension(object, order);
        object.close();
    }
    out += ']';
}

}  // namespace

Task<> get_explanation(HttpConnection& connection, const HttpRequest& request,
                       HttpContext& context) {
    QueryReader parameters(request);
    const std::string asked = parameters.text("domain");
    const auto address = engine::parse_address("postmaster@" + asked);
    if (!address) parameters.wrong("domain", asked.empty() ? "must be given" : "is no domain");
    if (auto no = parameters.refusal()) co_return co_await connection.answer(std::move(*no));

    const std::string& domain = address->routing_domain;
    const Explanation said = co_await context.node.explain(domain);
    engine::SiteOverview sites;
    if (!said.site.empty()) sites = co_await context.node.sites({.site = said.site});
    const auto queues = co_await context.node.queues({.domain = domain});
    engine::DomainQueues waits;
    if (const auto found = queues.domains.find(domain); found != queues.domains.end())
        waits = found->second;

    std::string body;
    JsonObject object(body);
    object.text("time", format_time(context.intake.now())).text("domain", domain);
    object.text_if("site", said.site).text_if("provider", said.provider);
    object.text_if("mx_suffix", said.suffix).text_if("log_in", said.log_in);
    object.key("route");
    append_route(body, said);
    object.key("tls");
    append_sts(body, said.sts);
    object.key("limits");
    append_limits(body, said);
    object.key("sources");
    append_sources(body, said);
    object.key("totals");
    append_totals(body, said);
    object.key("orders");
    append_orders(body, said);
    object.number("waiting", waits.waiting).number("sending", waits.lent);
    object.flag("more_on_disk", !waits.on_disk.empty());
    if (waits.next_due) object.text("next_due", format_time(*waits.next_due));
    if (!sites.sites.empty()) {
        object.key("now");
        append_site(body, sites.sites.front());
    }
    object.close();
    co_await connection.answer({.body = std::move(body) + "\n"});
}

}  // namespace ingest

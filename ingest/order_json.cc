#include "ingest/order_json.h"

#include <fmt/format.h>

#include <array>

#include "engine/message/address.h"
#include "ingest/event_json.h"
#include "ingest/job_json.h"
#include "ingest/json_out.h"
#include "ingest/json_walk.h"
#include "ingest/setting_check.h"
#include "ingest/units.h"
#include "storage/ids.h"

namespace ingest {

namespace ondemand = simdjson::ondemand;

namespace {

constexpr std::array<std::string_view, 15> names{
    "reason", "all",      "tenant", "campaign", "domain", "class", "recipient", "job",
    "for",    "provider", "site",   "source",   "route",  "until", ""};
enum Name : uint8_t {
    reason,
    all,
    tenant,
    campaign,
    domain,
    klass,
    recipient,
    job,
    lasts,
    provider,
    site,
    source,
    route,
    until
};

bool belongs(OrderKind kind, size_t name) {
    switch (static_cast<Name>(name)) {
        case reason:
            return true;
        case recipient:
        case job:
            return kind == OrderKind::cancellation;
        case lasts:
        case until:
        case provider:
        case site:
        case source:
        case route:
            return kind == OrderKind::suspension;
        default:
            return kind != OrderKind::job_cancellation;
    }
}

std::vector<std::string_view> names_of(OrderKind kind) {
    std::vector<std::string_view> known;
    for (size_t i = 0; !names[i].empty(); ++i)
        if (belongs(kind, i)) known.push_back(names[i]);
    return known;
}

class Reading {
  public:
    Reading(JsonWalk& walk, storage::WallTime now) : walk_(walk), now_(now) {}

    void member(Name name, ondemand::value value, const FieldPath& at) {
        if (name == all) {
            all_ = walk_.flag(value, at).value_or(false);
        } else if (name == route) {
            read_route(value, at);
        } else if (const auto text = walk_.text(value, at)) {
            read(name, *text, at);
        }
    }

    std::expected<OrderRequest, BadRequest> result(OrderKind kind) {
        const FieldPath root;
        const bool nothing = order_.reach.everything();
        if (kind != OrderKind::job_cancellation && nothing && !all_ && walk_.errors().empty()) {
            walk_.error(root, "order.everything", "names no mail",
                        "name a tenant, a campaign, a domain, …, or say \"all\": true");
        }
        if (all_ && !nothing) {
            walk_.error(root.in("all"), "order.all", "\"all\" stands beside a name",
                        "leave one of them out");
        }
        if (order_.until && lasts_) {
            walk_.error(root.in("for"), "field.ambiguous", "\"for\" stands beside \"until\"",
                        "leave one of them out");
        }
        if (lasts_) order_.until = now_ + *lasts_;
        if (walk_.errors().empty()) return std::move(order_);
        return std::unexpected(BadRequest{422, walk_.take_errors()});
    }

  private:
    void read(Name name, std::string_view text, const FieldPath& at) {
        engine::Reach& reach = order_.reach;
        switch (name) {
            case reason:
                if (text.size() > OrderLimits::reason_octets_max)
                    walk_.error(at, "field.too_long", "is too long");
                order_.reason = text;
                return;
            case tenant:
                return label(text, at, JobLimits::tenant_octets_max, reach.tenant);
            case campaign:
                // "": the mail that has none
                if (text.empty()) return void(reach.campaign.emplace());
                return label(text, at, JobLimits::campaign_octets_max, reach.campaign);
            case domain:
                return read_domain(text, at);
            case klass:
                if (text == "bulk" || text == "transactional")
                    reach.klass =
                        text == "bulk" ? storage::Class::bulk : storage::Class::transactional;
                else
                    walk_.error(at, "field.value", "must be \"transactional\" or \"bulk\"");
                return;
            case recipient:
                return read_recipient(text, at);
            case job:
                reach.job = storage::parse_job_id(text);
                if (!reach.job) walk_.error(at, "job.id", "this is no job id");
                return;
            case lasts:
                return read_lasts(text, at);
            case until:
                return read_until(text, at);
            case provider:
                return label(text, at, JobLimits::tenant_octets_max, reach.provider);
            case site:
                return whole(text, at, reach.site);
            case source:
                return label(text, at, JobLimits::tenant_octets_max, reach.source);
            case all:
            case route:
                return;
        }
    }

    void label(std::string_view text, const FieldPath& at, size_t octets_max,
               std::optional<std::string>& out) {
        if (const auto wrong = wrong_label(text, octets_max))
            return walk_.error(at, "field.label", *wrong);
        out = text;
    }

    void whole(std::string_view text, const FieldPath& at, std::optional<std::string>& out) {
        if (text.empty()) return walk_.error(at, "field.required", "is empty");
        out = text;
    }

    void read_domain(std::string_view text, const FieldPath& at) {
        const auto address = engine::parse_address(fmt::format("x@{}", text));
        if (!address) return walk_.error(at, "field.domain", "is no domain");
        order_.reach.domain = address->routing_domain;
    }

    void read_recipient(std::string_view text, const FieldPath& at) {
        const auto address = engine::parse_address(text);
        if (!address) return walk_.error(at, "field.address", address.error());
        order_.reach.recipient = engine::mailbox_key(text);
        // So that only its domain's queues are searched.
        if (!order_.reach.domain) order_.reach.domain = address->routing_domain;
    }

    void read_lasts(std::string_view text, const FieldPath& at) {
        const auto duration = parse_duration(text);
        if (!duration) return walk_.error(at, "field.duration", duration.error());
        if (duration->count() <= 0 || *duration > OrderLimits::lasts_max)
            return walk_.error(at, "field.range", "must be more than 0 and at most a year");
        lasts_ = *duration;
    }

    void read_until(std::string_view text, const FieldPath& at) {
        const auto time = parse_time(text);
        if (!time) return walk_.error(at, "field.time", time.error());
        if (*time <= now_ || *time > now_ + OrderLimits::lasts_max)
            return walk_.error(at, "field.range", "must be ahead, and at most a year");
        order_.until = *time;
    }

    void read_route(ondemand::value value, const FieldPath& at) {
        auto array = walk_.array(value, at);
        if (!array) return;
        size_t index = 0;
        for (auto item : *array) {
            ondemand::value element;
            if (std::move(item).get(element)) return walk_.break_off();
            const FieldPath here = at.at(index++);
            const auto text = walk_.text(element, here);
            if (!text) return;
            std::string host = engine::mailbox_key(*text);
            if (const auto wrong = check_route_host(host))
                return walk_.error(here, "route.host", *wrong);
            order_.route.push_back(std::move(host));
        }
        if (order_.route.empty() || order_.route.size() > OrderLimits::hosts_max)
            walk_.error(at, "route.hosts",
                        fmt::format("must name 1 to {} hosts", OrderLimits::hosts_max));
    }

    JsonWalk& walk_;
    const storage::WallTime now_;
    OrderRequest order_;
    std::optional<std::chrono::milliseconds> lasts_;
    bool all_ = false;
};

}  // namespace

std::expected<OrderRequest, BadRequest> read_order(OrderKind kind, std::string text,
                                                   storage::WallTime now) {
    JsonWalk walk;
    Reading reading(walk, now);
    const std::vector<std::string_view> known = names_of(kind);
    if (text.empty()) text = "{}";
    const size_t size = text.size();
    text.reserve(size + simdjson::SIMDJSON_PADDING);
    const auto syntax = [&](simdjson::error_code error) {
        return std::unexpected(
            BadRequest{400, {syntax_error(text, simdjson::error_message(error))}});
    };
    ondemand::parser parser;
    ondemand::document document;
    ondemand::object object;
    auto error = parser.iterate(simdjson::padded_string_view(text, text.capacity())).get(document);
    if (!error) error = document.get_object().get(object);
    if (error) return syntax(error);
    const FieldPath root;
    walk.members(object, root, known, [&](size_t i, ondemand::value value) {
        const auto name = static_cast<Name>(std::ranges::find(names, known[i]) - names.begin());
        reading.member(name, value, root.in(known[i]));
    });
    if (walk.broken() || document.current_location().error() != simdjson::OUT_OF_BOUNDS)
        return syntax(simdjson::TAPE_ERROR);
    return reading.result(kind);
}

void append_reach(JsonObject& object, const engine::Reach& reach) {
    const auto text = [&](std::string_view name, const std::optional<std::string>& value) {
        if (value) object.text(name, *value);
    };
    if (reach.job) object.text("job", storage::to_text(*reach.job));
    text("recipient", reach.recipient);
    text("domain", reach.domain);
    text("campaign", reach.campaign);
    if (reach.klass) object.text("class", to_string(*reach.klass));
    text("tenant", reach.tenant);
    text("provider", reach.provider);
    text("site", reach.site);
    text("source", reach.source);
    if (reach.everything()) object.flag("all", true);
}

void append_suspension(JsonObject& object, const engine::Suspension& suspension) {
    object.text("suspension", storage::to_text(suspension.id));
    append_reach(object, suspension.reach);
    if (!suspension.route.empty()) {
        std::string hosts = "[";
        for (const std::string& host : suspension.route) {
            if (hosts.size() > 1) hosts += ',';
            append_json_string(hosts, host);
        }
        object.raw("route", hosts + "]");
    }
    object.text_if("reason", suspension.reason).text("since", format_time(suspension.since));
    if (suspension.until) object.text("until", format_time(*suspension.until));
}

void append_cancellation(JsonObject& object, const engine::Cancellation& cancellation) {
    object.text("cancellation", storage::to_text(cancellation.id));
    append_reach(object, cancellation.reach);
    object.text_if("reason", cancellation.reason).text("since", format_time(cancellation.since));
}

}  // namespace ingest

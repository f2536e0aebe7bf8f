#include "engine/delivery/suspensions.h"

#include <algorithm>

#include "engine/delivery/settings.h"
#include "engine/delivery/site_policy.h"
#include "metrics/check.h"

namespace engine {

namespace {

constexpr uint8_t version = 1;
constexpr size_t hosts_max = 100;  // of one record; more is no record of ours
constexpr std::string_view detour = "via:";

/// Several that name the same hosts share one site, and its limits.
std::shared_ptr<const Route> route_to(const std::vector<std::string>& hosts, uint16_t port) {
    auto route = std::make_shared<Route>(*fixed_route({.route = hosts}, port));
    route->site = detour;
    for (const std::string& host : hosts) {
        if (&host != &hosts.front()) route->site += '+';
        route->site += host;
    }
    return route;
}

}  // namespace

Suspensions::Suspensions(std::vector<Suspension> list, uint16_t port) : list_(std::move(list)) {
    for (size_t place = 0; place < list_.size(); ++place) {
        const Suspension& one = list_[place];
        by_id_.emplace(one.id, place);
        index_.add(one.reach, place);
        routes_.push_back(one.holds() ? nullptr : route_to(one.route, port));
    }
}

const Suspension* Suspensions::find(OrderId id) const {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : &list_[found->second];
}

const std::shared_ptr<const Route>& Suspensions::route_of(const Suspension& suspension) const {
    return routes_[by_id_.at(suspension.id)];
}

template <class Covers>
const Suspension* Suspensions::first(const storage::QueueInfo& queue, Covers covers) const {
    const Suspension* found = nullptr;
    index_.any(queue, [&](size_t place) {
        const Suspension& one = list_[place];
        if (!one.reach.of_queue(queue) || !covers(one.reach)) return false;
        if (!found || one.holds()) found = &one;
        return one.holds();
    });
    return found;
}

const Suspension* Suspensions::of_queue(const storage::QueueInfo& queue) const {
    if (list_.empty()) return nullptr;
    return first(queue, [](const Reach& reach) { return !reach.names_way(); });
}

const Suspension* Suspensions::on_way(const storage::QueueInfo& queue, std::string_view provider,
                                      std::string_view site) const {
    if (list_.empty()) return nullptr;
    return first(queue, [&](const Reach& reach) { return reach.of_way(provider, site); });
}

bool Suspensions::source_held(std::string_view source) const {
    return std::ranges::any_of(list_, [&](const Suspension& one) {
        return one.reach.source && *one.reach.source == source;
    });
}

bool is_detour(std::string_view site) {
    return site.starts_with(detour);
}

std::string encode(const Suspension& suspension) {
    storage::Writer out;
    out.byte(version);
    write_reach(out, suspension.reach);
    out.string(suspension.reason);
    out.time(suspension.since);
    out.byte(suspension.until ? 1 : 0);
    if (suspension.until) out.time(*suspension.until);
    out.varint(suspension.route.size());
    for (const std::string& host : suspension.route) out.string(host);
    return out.take();
}

std::optional<Suspension> decode_suspension(OrderId id, std::string_view bytes) {
    storage::Reader in(bytes);
    if (in.byte() != version) return std::nullopt;
    Suspension suspension{.id = id, .reach = read_reach(in)};
    suspension.reason = in.string();
    suspension.since = in.time();
    if (in.flag()) suspension.until = in.time();
    const uint64_t hosts = in.varint();
    if (hosts > hosts_max) in.fail();
    for (uint64_t i = 0; i < hosts && !in.failed(); ++i) suspension.route.emplace_back(in.string());
    return in.finished() ? std::optional(std::move(suspension)) : std::nullopt;
}

}  // namespace engine

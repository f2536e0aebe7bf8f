// What becomes of a site when a reload has put other settings in force.
#include <algorithm>

#include "engine/delivery/site.h"

namespace engine {

namespace {

/// What a connection is opened with; the rest of a source's settings is looked at each time.
bool same_way_out(const SourceSettings& a, const SourceSettings& b) {
    const auto ip = [](const SourceSettings& source) {
        return source.address ? source.address->ip() : std::string();
    };
    return a.name == b.name && ip(a) == ip(b) && a.ehlo == b.ehlo && a.proxy == b.proxy;
}

bool same_log_in(const Credentials* a, const Credentials* b) {
    if (!a || !b) return a == b;
    return a->user == b->user && a->mechanisms == b->mechanisms &&
           a->password.reveal() == b->password.reveal();
}

}  // namespace

/// Whether its pool still has the sources that its ways are of.
bool Site::has_pool_as_it_is() const {
    const Pool* pool = parts_.settings->find_pool(pool_);
    return pool && std::ranges::equal(pool->sources, ways_, [&](SourceId source, const Way& way) {
               return same_way_out(parts_.settings->sources.at(source), *way.path->from);
           });
}

std::optional<SitePolicy> Site::policy_now() const {
    if (!route_ || !has_pool_as_it_is()) return std::nullopt;
    SitePolicy now = policy_for(*parts_.settings, domain_, *route_);
    const bool same = now.site == policy_.site && now.provider == policy_.provider &&
                      now.limits.tls == policy_.limits.tls &&
                      same_log_in(now.credentials.get(), policy_.credentials.get());
    return same ? std::optional(std::move(now)) : std::nullopt;
}

void Site::use_limits(Limits limits) {
    policy_.limits = std::move(limits);
    for (Way& way : ways_) {
        Path& path = *way.path;
        way.limits = policy_.limits;
        path.from->limits.tighten(way.limits);
        const size_t most = way.limits.connections;
        path.surplus = most > 0 && path.live > most ? path.live - most : 0;
        // Who waits for a slower rate than there is now looks again.
        if (!path.line.empty()) path.line.front()->notify_all();
    }
    for (const std::string& tenant : ready_.look_at_limits()) see_tenant(tenant);
    work_.notify_all();
    timer_.notify_all();
    fill();
}

void Site::send_home_all() {
    ready_.take_all();  // they go home as they die
    give_back_admissions();
}

/// Whether the connection that asks is one too many for a limit that was lowered. True is counted:
/// it must end.
bool Site::is_surplus(Path& path) {
    if (path.surplus == 0) return false;
    --path.surplus;
    return true;
}

}  // namespace engine

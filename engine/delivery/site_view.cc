// What a site tells operators of itself.
#include "engine/delivery/site.h"

namespace engine {

SiteView Site::view() const {
    const Limits& limits = policy_.limits;
    SiteView view{.site = policy_.site,
                  .provider = policy_.provider,
                  .ready = ready_.size() + ready_.held(),
                  .sending = sending_,
                  .busy = busy_,
                  .idle = idle_,
                  .opening = connecting_,
                  .connections_max = limits.connections,
                  .messages_per_connection = limits.messages_per_connection,
                  .rate_per_second = limits.rate_per_second};
    const Instant now = parts_.reactor.now();
    for (const auto& path : budget_->paths()) {
        view.open += path->live;
        const Tempo::Learned learned = path->tempo.learned();
        view.paths.push_back({.source = path->from->name,
                              .open = path->live,
                              .learned_rate = learned.rate,
                              .learned_connections = learned.connections});
    }
    if (const auto held = binding()) {
        view.limit = held->limit;
        view.limit_origin = held->origin;
        view.limit_reason = held->reason;
        if (held->until != Instant::max()) {
            view.limited_for = std::chrono::ceil<std::chrono::milliseconds>(
                std::max(held->until - now, Instant::duration{}));
        }
    }
    return view;
}

}  // namespace engine

// What a site tells operators of itself.
#include "engine/delivery/site.h"

namespace engine {

SiteView Site::view() const {
    const Limits& limits = policy_.limits;
    SiteView view{.site = policy_.site,
                  .provider = policy_.provider,
                  .ready = ready_.size(),
                  .sending = sending_,
                  .busy = busy_,
                  .idle = idle_,
                  .opening = connecting_,
                  .open = budget_->live,
                  .connections_max = limits.connections,
                  .messages_per_connection = limits.messages_per_connection,
                  .rate_per_second = limits.rate_per_second};
    const Instant now = parts_.reactor.now();
    const auto until = [&](std::string_view what, Instant end) {
        view.limit = what;
        view.limited_for = std::chrono::ceil<std::chrono::milliseconds>(end - now);
    };
    // The sternest first; a limit that nothing waits for holds nothing back.
    if (budget_->throttle.until() > now) {
        until("reply", budget_->throttle.until());
    } else if (hold_until_ > now) {
        until("unreachable", hold_until_);
    } else if (pacing_ > 0 && limits.rate_per_second > 0) {
        until("rate", std::max(budget_->next_send, now));
    } else if (!ready_.empty() && limits.connections > 0 && budget_->live >= limits.connections) {
        view.limit = "connections";
    }
    return view;
}

}  // namespace engine

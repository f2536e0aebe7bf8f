// What a shard tells operators of its queues and sites: in slices, so that sending goes on.
#include <algorithm>

#include "engine/delivery/delivery_shard.h"
#include "engine/reactor/yield.h"

namespace engine {

namespace {
constexpr size_t sites_per_slice = 500;
}

/// Calls visit for the view of each set of hosts.
template <class Visit>
Task<> DeliveryShard::each_site(Visit visit) {
    std::optional<SiteView> whole;  // Sites of one set of hosts are neighbours
    std::optional<SiteKey> last;
    size_t looked_at = 0;
    while (true) {
        const auto next = last ? sites_.upper_bound(*last) : sites_.begin();
        if (next == sites_.end()) break;
        last = next->first;
        SiteView view = next->second->view();
        view.site = last->site;
        if (everywhere_.contains(view.site)) view.shards = parts_.post.count();
        if (const auto was = spreads_.find(view.site); was != spreads_.end())
            view.spread_ended = was->second.ended_by;
        if (whole && whole->site == view.site) {
            whole->add(view);
        } else {
            if (whole) visit(std::move(*whole));
            whole = std::move(view);
        }
        if (++looked_at % sites_per_slice == 0) co_await yield(parts_.reactor);
    }
    if (whole) visit(std::move(*whole));
}

Task<QueueOverview> DeliveryShard::queues(QueueQuestion question) {
    co_return co_await home_.overview(std::move(question));
}

Task<SiteOverview> DeliveryShard::sites(SiteQuestion question) {
    SiteOverview found;
    const size_t most = std::min(question.limit, SiteQuestion::sites_max);
    const auto least_work_on_top = [](const SiteView& a, const SiteView& b) {
        return a.work() > b.work();
    };
    co_await each_site([&](SiteView view) {
        if (!question.site.empty() && view.site != question.site) return;
        if (!question.provider.empty() && view.provider != question.provider) return;
        if (helps_with(view.site)) return found.helped.push_back(std::move(view));
        ++found.count;
        found.sites.push_back(std::move(view));
        std::ranges::push_heap(found.sites, least_work_on_top);
        if (found.sites.size() <= most) return;
        std::ranges::pop_heap(found.sites, least_work_on_top);
        found.sites.pop_back();
    });
    std::ranges::sort(found.sites, least_work_on_top);
    co_return found;
}

Task<ProviderOverview> DeliveryShard::providers() {
    ProviderOverview found;
    co_await each_site([&](const SiteView& view) {
        ProviderView& provider = found[view.provider];
        helps_with(view.site) ? provider.add_helped(view) : provider.add(view);
    });
    co_return found;
}

}  // namespace engine

#include "engine/delivery/overview.h"

#include <algorithm>
#include <functional>
#include <iterator>

namespace engine {

size_t age_place(std::chrono::milliseconds age) {
    return static_cast<size_t>(std::ranges::upper_bound(age_bounds, age) - age_bounds.begin());
}

namespace {
template <class T>
void take_least(std::optional<T>& into, const std::optional<T>& from) {
    if (from && (!into || *from < *into)) into = from;
}
}  // namespace

void DomainQueues::add(const DomainQueues& other) {
    waiting += other.waiting;
    lent += other.lent;
    queues += other.queues;
    for (size_t i = 0; i < ages.size(); ++i) ages[i] += other.ages[i];
    take_least(oldest, other.oldest);
    take_least(next_due, other.next_due);
    for (const storage::QueueId id : other.on_disk)
        if (on_disk.size() < QueueQuestion::on_disk_max) on_disk.push_back(id);
}

void QueueOverview::add(QueueOverview&& other) {
    whole &= other.whole;
    for (auto& [domain, queues] : other.domains) domains[domain].add(queues);
}

void SiteView::add(const SiteView& other) {
    ready += other.ready;
    sending += other.sending;
    busy += other.busy;
    idle += other.idle;
    opening += other.opening;
    open = std::max(open, other.open);  // both know the number of all
    if (limit.empty()) {
        limit = other.limit;
        limited_for = other.limited_for;
        limit_origin = other.limit_origin;
        limit_reason = other.limit_reason;
    }
}

void SiteView::add_from_shard(const SiteView& other) {
    const uint64_t of_both = open + other.open;
    add(other);
    open = of_both;
    for (const PathView& path : other.paths) {
        const auto own = std::ranges::find(paths, path.source, &PathView::source);
        if (own != paths.end())
            own->open += path.open;
        else
            paths.push_back(path);
    }
}

void SiteOverview::add(SiteOverview&& other) {
    count += other.count;
    std::ranges::move(other.sites, std::back_inserter(sites));
    std::ranges::move(other.helped, std::back_inserter(helped));
}

void SiteOverview::finish(size_t limit) {
    for (const SiteView& part : helped) {
        const auto whole = std::ranges::find(sites, part.site, &SiteView::site);
        if (whole != sites.end()) whole->add_from_shard(part);
    }
    helped.clear();
    std::ranges::stable_sort(sites, std::greater{}, &SiteView::work);
    if (sites.size() > limit) sites.resize(limit);
}

void ProviderView::add_helped(const SiteView& site) {
    ready += site.ready;
    sending += site.sending;
    busy += site.busy;
    idle += site.idle;
    opening += site.opening;
}

void ProviderView::add(const SiteView& site) {
    ++sites;
    add_helped(site);
    connections_max = site.connections_max;
    rate_per_second = site.rate_per_second;
    if (site.limit.empty()) return;
    ++limited;
    ++limits[site.limit];
}

void ProviderView::add(const ProviderView& other) {
    sites += other.sites;
    ready += other.ready;
    sending += other.sending;
    busy += other.busy;
    idle += other.idle;
    opening += other.opening;
    limited += other.limited;
    for (const auto& [limit, count] : other.limits) limits[limit] += count;
    connections_max = other.connections_max;
    rate_per_second = other.rate_per_second;
}

}  // namespace engine

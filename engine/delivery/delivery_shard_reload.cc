// How a shard goes over to other settings: the home and all sites at one moment.
#include <algorithm>
#include <set>

#include "engine/delivery/delivery_shard.h"

namespace engine {

namespace {

/// Whether mail may find another way by `b`, not only other limits on it.
bool ways_differ(const Settings& a, const Settings& b) {
    const auto same_domain = [](const DomainSettings& x, const DomainSettings& y) {
        return x.name == y.name && x.route == y.route;
    };
    const auto same_provider = [](const Provider& x, const Provider& y) {
        return x.name == y.name && x.mx_suffix == y.mx_suffix;
    };
    return !std::ranges::equal(a.domains, b.domains, same_domain) ||
           !std::ranges::equal(a.providers, b.providers, same_provider);
}

}  // namespace

void DeliveryShard::use(std::shared_ptr<const Settings> next) {
    const auto before = settings_.use(std::move(next));
    shares_.use(*settings_);
    use_at_sites(ways_differ(*before, *settings_));
    end_all_spreads();
    home_.find_ways_anew();
}

void DeliveryShard::use_at_sites(bool ways_changed) {
    // Each is judged by what it was made for, before its paths change.
    std::vector<std::pair<Site*, Limits>> go_on;
    std::vector<SiteKey> end;
    std::set<SiteBudget*> budgets;
    for (const auto& [key, site] : sites_) {
        budgets.insert(site->budget().get());
        if (auto policy = site->policy_now())
            go_on.emplace_back(site.get(), std::move(policy->limits));
        else
            end.push_back(key);
    }
    for (const auto& site : retired_) budgets.insert(site->budget().get());
    for (SiteBudget* budget : budgets) budget->use_settings();
    for (const SiteKey& key : end) retire(std::move(sites_.extract(key).mapped()));
    for (auto& [site, limits] : go_on) {
        if (ways_changed) site->send_home_all();
        site->use_limits(std::move(limits));
    }
}

/// It begins nothing more; its connections end after what they have in hand. Its budget lives on as
/// long as they do, so that limits count them.
void DeliveryShard::retire(std::unique_ptr<Site> site) {
    std::erase(awake_, site.get());
    site->drain();
    if (!site->idle()) retired_.push_back(std::move(site));
}

}  // namespace engine

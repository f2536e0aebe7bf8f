// How a site comes to be on all shards, and back (spread.h). The owner begins and ends it; messages
// from it arrive in the order in which they were sent. A shard that is lent mail for a site that it
// does not help with sends it on to the owner, so homes may know late.
#include <algorithm>

#include "engine/delivery/delivery_shard.h"
#include "engine/delivery/place.h"
#include "metrics/catalog.h"
#include "metrics/check.h"
#include "metrics/log.h"

namespace engine {

namespace {

TotalLimits total_of(const Limits& limits) {
    TotalLimits total{.connections = limits.connections,
                      .connection_rate_per_second = limits.connection_rate_per_second,
                      .rate_per_second = limits.rate_per_second};
    const auto origin = [&](TotalLimit of, LimitKey key) {
        total.origins[static_cast<size_t>(of)] = limits.origin(key);
    };
    origin(TotalLimit::connections, LimitKey::connections);
    origin(TotalLimit::connection_rate, LimitKey::connection_rate);
    origin(TotalLimit::rate, LimitKey::rate);
    return total;
}

/// Of all sources: mail for another pool may come at any time.
PathLimits limits_of_paths(const Settings& settings, const Limits& of_site) {
    PathLimits all;
    for (const SourceSettings& source : settings.sources) {
        Limits limits = of_site;
        source.limits.tighten(limits);
        all.emplace_back(source.name, total_of(limits));
    }
    return all;
}

bool is_counted_by_the_day(const Settings& settings, const Pool& pool) {
    return std::ranges::any_of(pool.sources, [&](SourceId source) {
        return settings.sources.at(source).warmup.has_value();
    });
}

std::string_view why(const PathWord& word) {
    switch (word.of) {
        case PathWord::Of::complaint:
        case PathWord::Of::connections:
            return "a host complains";
        case PathWord::Of::rule:
            return "a rule of [[automation]]";
        default:
            return "no host took a connection";
    }
}

}  // namespace

bool DeliveryShard::helps_with(const std::string& site) const {
    return !helped_.empty() && helped_.contains(site);
}

/// The Sites of these hosts, also those that end.
template <class Visit>
void DeliveryShard::each_site_of(const std::string& site, Visit visit) const {
    for (auto at = sites_.lower_bound({site, {}, {}}); at != sites_.end(); ++at) {
        if (at->first.site != site) break;
        visit(*at->second);
    }
    for (const auto& old : retired_)
        if (old->budget()->site() == site) visit(*old);
}

std::shared_ptr<SiteBudget> DeliveryShard::make_budget(const std::string& site) {
    if (owner_of(site) == parts_.post.self()) {
        return std::make_shared<SiteBudget>(
            settings_, site,
            [this](const SourceSettings& source, const std::string& of_site) {
                return tempos_.of(source.name, of_site);
            },
            [this](const std::string& of_site, const PathWord& word) {
                end_spread(of_site, why(word));
            });
    }
    return std::make_shared<SiteBudget>(
        settings_, site, nullptr, [this](const std::string& of_site, PathWord word) {
            const ShardId to = owner_of(of_site);
            parts_.post.send(to, [peer = parts_.shards[to], of_site, from = parts_.post.self(),
                                  word = std::move(word)] { peer->hear(of_site, from, word); });
        });
}

// --- what homes lend

void DeliveryShard::deal_out(Lending lending) {
    std::vector<std::vector<LoanTerms>> dealt(parts_.post.count());
    for (LoanTerms& terms : lending.loans) {
        const ShardId to = deal_.next(terms.link);
        terms.dealt = static_cast<ShardId>(to + 1);
        dealt[to].push_back(std::move(terms));
    }
    for (ShardId to = 0; to < parts_.post.count(); ++to) {
        if (dealt[to].empty()) continue;
        lend_to(to, {lending.route, lending.site, lending.domain, lending.tls, lending.settings,
                     std::move(dealt[to])});
    }
}

void DeliveryShard::bring_home(std::vector<Return> returned) {
    for (Return& one : returned) {
        if (const ShardId dealt = std::exchange(one.terms.dealt, 0); dealt > 0)
            deal_.back(one.terms.link, static_cast<ShardId>(dealt - 1));
    }
    home_.settle(std::move(returned));
}

/// What this shard may not send stays out of `lending`.
void DeliveryShard::send_to_owner(Lending& lending) {
    const ShardId owner = owner_of(lending.site);
    if (owner == parts_.post.self()) return;
    std::vector<LoanTerms> theirs;
    if (!helps_with(lending.site)) {
        theirs = std::exchange(lending.loans, {});
    } else {
        std::vector<LoanTerms> ours;
        for (LoanTerms& terms : lending.loans) {
            const Pool& pool = settings_->pool_of(terms.job->job().pool);
            auto& whose = is_counted_by_the_day(*settings_, pool) ? theirs : ours;
            whose.push_back(std::move(terms));
        }
        lending.loans = std::move(ours);
    }
    if (theirs.empty()) return;
    lend_to(owner, {lending.route, lending.site, lending.domain, lending.tls, lending.settings,
                    std::move(theirs)});
}

// --- the owner decides

/// Once a second.
void DeliveryShard::look_at_spreads() {
    busy_.store(parts_.busy ? parts_.busy() : 0, std::memory_order_relaxed);
    tell_owners();
    say_done();
    if (parts_.post.count() == 1 || (settings_->spread_above <= 0 && spreads_.empty())) return;
    const bool all_rest = awake_.empty() && spreads_.empty();  // nothing has begun
    uint64_t all = 0, most = 0;
    const std::string* hottest = nullptr;
    std::vector<std::pair<std::string, uint64_t>> spread;
    for (auto at = all_rest ? sites_.end() : sites_.begin(); at != sites_.end();) {
        const std::string& name = at->first.site;
        uint64_t begun = 0;
        for (; at != sites_.end() && at->first.site == name; ++at) {
            const uint64_t of_one = at->second->take_begun();
            all += of_one;
            if (of_one > 0 && !at->second->stays_on_its_shard()) begun += of_one;
        }
        if (spreads_.contains(name)) {
            spread.emplace_back(name, begun);
        } else if (begun > most && !helps_with(name)) {
            most = begun;
            hottest = &name;
        }
    }
    if (hottest) {
        if (hottest_.first != *hottest) hottest_ = {*hottest, {}};
        if (hottest_.second.look(load_of(*hottest, most, all), settings_->spread_above))
            this->spread(hottest_.first);
    }
    for (const auto& [site, begun] : spread) look_at(site, load_of(site, begun, all));
    const auto on = [](const auto& entry) { return entry.second.state == Spread::State::on; };
    parts_.metrics.gauge(metrics::catalog::sites_spread)
        .set(static_cast<double>(std::ranges::count_if(spreads_, on)));
}

SiteLoad DeliveryShard::load_of(const std::string& site, uint64_t begun, uint64_t all) const {
    SiteLoad load{.busy = busy(), .shards = parts_.post.count()};
    for (const DeliveryShard* shard : parts_.shards)
        load.least_busy = std::min(load.least_busy, shard->busy());
    if (all > 0) load.part = static_cast<double>(begun) / static_cast<double>(all);
    each_site_of(site, [&](const Site& one) { load.held |= !one.could_use_more_cores(); });
    return load;
}

void DeliveryShard::look_at(const std::string& site, const SiteLoad& load) {
    const auto found = spreads_.find(site);
    if (found == spreads_.end()) return;
    Spread& of_site = found->second;
    switch (of_site.state) {
        case Spread::State::on:
            if (!of_site.rule.look(load, settings_->spread_above))
                end_spread(site, "one core suffices");
            return;
        case Spread::State::ending:
            return end_when_whole(site, of_site);
        case Spread::State::resting:
            if (parts_.reactor.now() >= of_site.rest_until) spreads_.erase(found);
    }
}

void DeliveryShard::spread(std::string site) {
    const Site* one = nullptr;
    each_site_of(site, [&](const Site& of_site) { one = one ? one : &of_site; });
    CHECK(one, "a site without Sites is to be spread");
    const Limits& limits = one->policy().limits;
    auto of_paths = std::make_shared<const PathLimits>(limits_of_paths(*settings_, limits));
    for (const auto& [source, total] : *of_paths) shares_.share_path({site, source}, total);
    each_site_of(site, [](Site& of_site) { of_site.share_paths(); });
    for (const auto& path : one->budget()->paths()) {
        Limits tight = limits;
        path->from->limits.tighten(tight);
        shares_.begin_path({site, path->from->name},
                           {.connections = static_cast<uint32_t>(path->live),
                            .next_message = path->next_message(tight),
                            .next_connection = path->next_connection(tight)});
    }
    everywhere_.insert(site);
    spreads_[site] = {.rule = std::exchange(hottest_, {}).second, .limits = of_paths};
    for (DeliveryShard* peer : parts_.shards) {
        if (peer == this) continue;
        parts_.post.send(peer->parts_.post.self(),
                         [peer, site, of_paths] { peer->help_with(site, of_paths); });
    }
    metrics::log::info("site.spread", {{"site", site}, {"shards", parts_.post.count()}});
}

void DeliveryShard::end_spread(const std::string& site, std::string_view why) {
    const auto found = spreads_.find(site);
    if (found == spreads_.end() || found->second.state != Spread::State::on) return;
    Spread& of_site = found->second;
    of_site.state = Spread::State::ending;
    of_site.ended_by = why;
    of_site.away = static_cast<ShardId>(parts_.post.count() - 1);
    of_site.rest_until = parts_.reactor.now() + Spread::rest;
    everywhere_.erase(site);
    for (DeliveryShard* peer : parts_.shards) {
        if (peer == this) continue;
        parts_.post.send(peer->parts_.post.self(), [peer, site] { peer->stop_helping(site); });
    }
    metrics::log::info("site.on_one_shard", {{"site", site}, {"why", why}});
}

/// A reload: each shard has it at a time of its own. Limits that were lowered hold at once.
void DeliveryShard::end_all_spreads() {
    for (auto& [site, of_site] : spreads_) {
        end_spread(site, "other settings");
        if (of_site.state != Spread::State::ending) continue;
        each_site_of(site, [&](const Site& one) {
            for (const auto& [source, total] : limits_of_paths(*settings_, one.policy().limits))
                shares_.lower_path({site, source}, total);
        });
    }
}

void DeliveryShard::one_done(const std::string& site) {
    const auto found = spreads_.find(site);
    CHECK(found != spreads_.end() && found->second.away > 0,
          "a shard has helped with a site that was not spread");
    --found->second.away;
    end_when_whole(site, found->second);
}

/// No other shard has a connection of it any more, nor may open one: its limits are its own again.
void DeliveryShard::end_when_whole(const std::string& site, Spread& of_site) {
    if (of_site.state != Spread::State::ending || of_site.away > 0) return;
    const auto lent = [&](const auto& path) { return shares_.has_lent({site, path.first}); };
    if (std::ranges::any_of(*of_site.limits, lent)) return;
    std::shared_ptr<SiteBudget> budget;
    each_site_of(site, [&](const Site& one) { budget = one.budget(); });
    for (const auto& [source, total] : *of_site.limits) {
        const Shares::Begun begun = shares_.end_path({site, source});
        Path* path = budget ? budget->find(source) : nullptr;
        if (!path) continue;
        path->open_elsewhere = 0;
        path->begun_elsewhere(total, begun.next_message, begun.next_connection);
    }
    of_site.state = Spread::State::resting;
    of_site.open.clear();
    each_site_of(site, [](Site& one) { one.own_paths(); });
}

void DeliveryShard::hear(const std::string& site, ShardId from, const PathWord& word) {
    count_open(site, from, word);
    Site* one = nullptr;
    each_site_of(site, [&](Site& of_site) { one = one ? one : &of_site; });
    if (one) one->hear(word);
    if (word.of != PathWord::Of::nothing && word.of != PathWord::Of::rule)
        end_spread(site, why(word));
}

void DeliveryShard::count_open(const std::string& site, ShardId from, const PathWord& word) {
    const auto found = spreads_.find(site);
    if (found == spreads_.end() || found->second.state == Spread::State::resting) return;
    auto& open = found->second.open;
    open[{word.source, from}] = word.open;
    size_t sum = 0;
    for (auto at = open.lower_bound({word.source, 0});
         at != open.end() && at->first.first == word.source; ++at)
        sum += at->second;
    each_site_of(site, [&](const Site& one) {
        if (Path* path = one.budget()->find(word.source)) path->open_elsewhere = sum;
    });
}

// --- the others

void DeliveryShard::help_with(const std::string& site, std::shared_ptr<const PathLimits> limits) {
    for (const auto& [source, total] : *limits) shares_.share_path({site, source}, total);
    helped_[site] = std::move(limits);
    everywhere_.insert(site);
}

void DeliveryShard::stop_helping(const std::string& site) {
    everywhere_.erase(site);
    for (auto at = sites_.lower_bound({site, {}, {}});
         at != sites_.end() && at->first.site == site;)
        retire(std::move(sites_.extract(at++).mapped()));
    for (const auto& [source, total] : *helped_.at(site)) shares_.leave_path({site, source});
    helped_.erase(site);
    leaving_.push_back(site);
    say_done();
}

/// Of sites that this shard has helped with, when the last connection has ended.
void DeliveryShard::say_done() {
    std::erase_if(leaving_, [&](const std::string& site) {
        bool idle = true;
        each_site_of(site, [&](const Site& one) { idle &= one.idle(); });
        if (!idle) return false;
        const ShardId owner = owner_of(site);
        parts_.post.send(owner, [peer = parts_.shards[owner], site] { peer->one_done(site); });
        return true;
    });
}

/// What receivers took, and how many connections stand.
void DeliveryShard::tell_owners() {
    for (const auto& [site, limits] : helped_) {
        std::shared_ptr<SiteBudget> budget;
        each_site_of(site, [&](const Site& one) { budget = one.budget(); });
        if (!budget) continue;
        for (const auto& path : budget->paths()) budget->tell(*path, {});
    }
}

}  // namespace engine

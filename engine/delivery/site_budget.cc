#include "engine/delivery/site_budget.h"

#include <algorithm>
#include <utility>

#include "engine/delivery/site.h"

namespace engine {

namespace {

/// A part of the snapshot, which lives as long as it.
std::shared_ptr<const SourceSettings> source_in_force(const SettingsInForce& settings,
                                                      SourceId source) {
    const std::shared_ptr<const Settings> snapshot = settings.snapshot();
    return {snapshot, &snapshot->sources.at(source)};
}

}  // namespace

Path& SiteBudget::path(SourceId source, Instant now) {
    for (const auto& known : paths_)
        if (known->source == source) return *known;
    auto from = source_in_force(settings_, source);
    const PathNotes notes = known_ ? known_(*from, site_) : PathNotes{};
    auto made = std::make_unique<Path>(source, std::move(from), notes, now);
    // It begins level with the others, or all would go over the newcomer until it is.
    for (const auto& other : paths_) made->served = std::max(made->served, other->served);
    return *paths_.emplace_back(std::move(made));
}

Path* SiteBudget::find(const std::string& source) {
    for (const auto& known : paths_)
        if (known->source != no_source && known->from->name == source) return known.get();
    return nullptr;
}

void SiteBudget::tell(Path& path, PathWord word) {
    word.source = path.from->name;
    word.taken = std::exchange(path.taken_untold, 0);
    word.open = path.open;
    hears_(site_, std::move(word));
}

void SiteBudget::use_settings() {
    for (const auto& path : paths_) {
        const auto& sources = settings_->sources;
        const auto found = std::ranges::find(sources, path->from->name, &SourceSettings::name);
        if (found == sources.end()) {
            path->source =
                no_source;  // its connections end; what is counted of them goes with them
            continue;
        }
        path->source = static_cast<SourceId>(found - sources.begin());
        path->from = source_in_force(settings_, path->source);
    }
}

bool SiteBudget::remembers(Instant now) const {
    return std::ranges::any_of(paths_, [&](const auto& path) {
        return path->rests(now) || (path->automation && path->automation->remembers(now));
    });
}

void SiteBudget::ask(const Site& site, size_t connections) {
    for (Site* other : sites_) {
        if (other == &site) continue;
        for (uint64_t idle = other->status().idle; idle > 0 && connections > 0; --idle) {
            other->look_again();
            --connections;
        }
    }
}

bool SiteBudget::gives_way(const Site& site, SourceId source, Between between) {
    size_t wanted = 0;
    for (const Site* other : sites_) {
        if (other == &site || !other->uses(source)) continue;
        if (between == Between::nothing || other->connections() == 0)
            wanted += other->connections_wanted();
    }
    if (wanted <= promised_) return false;
    ++promised_;
    return true;
}

void SiteBudget::freed(const Site& by) {
    // One that ended for another reason counts as well: the next who asks is only heard sooner.
    if (promised_ > 0) --promised_;
    for (Site* site : sites_) {
        if (site != &by) site->fill();
    }
}

}  // namespace engine

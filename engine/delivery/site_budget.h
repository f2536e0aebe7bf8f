// SiteBudget: what the Sites of one set of hosts share. Mail of another TLS demand or pool has a
// Site of its own, but the hosts count all of it: the paths to them are one.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/delivery/path.h"
#include "engine/delivery/settings_in_force.h"
#include "engine/delivery/spread.h"

namespace engine {

class Site;

class SiteBudget {
  public:
    /// What was learned of a path before this budget was made.
    using Known = std::function<PathNotes(const SourceSettings&, const std::string& site)>;

    /// Told what is heard on a path, at once.
    using Hears = std::function<void(const std::string& site, PathWord)>;

    /// `known`: null where another shard owns the site.
    SiteBudget(const SettingsInForce& settings, std::string site, Known known, Hears hears)
        : settings_(settings),
          site_(std::move(site)),
          known_(std::move(known)),
          hears_(std::move(hears)),
          of_another_(!known_) {}
    SiteBudget(const SiteBudget&) = delete;
    SiteBudget& operator=(const SiteBudget&) = delete;

    /// The path of a source, which stays where it is.
    Path& path(SourceId source, Instant now);
    const std::vector<std::unique_ptr<Path>>& paths() const { return paths_; }
    /// The settings have changed: paths know their sources by name.
    void use_settings();

    /// Whether a path knows something that must not be forgotten although nobody uses it: a rest,
    /// or what rules have counted.
    bool remembers(Instant now) const;

    const std::string& site() const { return site_; }
    /// Another shard owns the site: what is learned of the hosts is learned there.
    bool is_of_another_shard() const { return of_another_; }
    Path* find(const std::string& source);
    /// Of a path of this budget; its counts are added.
    void tell(Path& path, PathWord word);

    void join(Site& site) { sites_.push_back(&site); }
    void leave(Site& site) { std::erase(sites_, &site); }

    /// `site` has work for so many connections more, and its limits are reached: idle ones of
    /// others look whether they should give way.
    void ask(const Site& site, size_t connections);
    enum class Between : uint8_t { mails, nothing };  // what a connection is: busy, or idle
    /// Whether a connection of `site` over this source should end now for another's sake: an idle
    /// one for whoever waits for room on it, a busy one for who has no connection at all. True is a
    /// promise to end.
    bool gives_way(const Site& site, SourceId source, Between between);
    /// A connection of `by` has ended: there may be room for others.
    void freed(const Site& by);

  private:
    const SettingsInForce& settings_;
    std::string site_;
    Known known_;
    Hears hears_;
    bool of_another_;
    std::vector<std::unique_ptr<Path>> paths_;
    std::vector<Site*> sites_;
    size_t promised_ = 0;  // connections that are about to end for others
};

}  // namespace engine

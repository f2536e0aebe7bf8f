// Shares: a shard's parts of all totals, and the keepers of those totals that this shard keeps.
// Which shard keeps a total follows from its name; shards tell it what they need and are given it,
// by messages that are gathered over a turn.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/delivery/kept_notes.h"
#include "engine/delivery/settings.h"
#include "engine/delivery/share.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/shards.h"

namespace engine {

struct SharesParts {
    Reactor& reactor;
    Post& post;
    Worker& worker;  // the shard's storage worker
    storage::Store& store;
    std::function<class Shares&(ShardId)> peer;
    TotalLimits node{};  // of everything that is sent
};

/// A source's way to a site.
struct PathName {
    std::string site, source;
};

class Shares {
  public:
    static constexpr size_t quotas_max = 20'000;  // kept over a restart

    Shares(SharesParts parts, const Settings& settings);
    ~Shares();

    /// Reads what was sent of quotas. Nothing is given out of one before.
    Task<> load();
    /// This shard's part of what is allowed in a name, also when that is everything. It stays.
    Share& of(TotalOf of, const std::string& name);
    bool limits_messages_of(const std::string& tenant) const;

    // Paths whose limits all shards share, while their site is spread (spread.h). The shard that
    // owns the site keeps them.
    /// The share in a path that is, or was, spread; null: it never was. It stays.
    Share* path(const PathName& path);
    /// From now on it has these limits: nothing begins over it here without a share.
    void share_path(const PathName& path, const TotalLimits& limits);
    /// At the keeper: of the path's connections there, so many stand already, and what begins next
    /// does so not before.
    struct Begun {
        uint32_t connections = 0;
        Instant next_message{}, next_connection{};
    };
    void begin_path(const PathName& path, const Begun& begun);
    /// At the keeper: a limit was lowered.
    void lower_path(const PathName& path, const TotalLimits& limits);
    /// At the keeper: whether other shards have, or are sent, connections of it.
    bool has_lent(const PathName& path) const;
    /// At the keeper, when nothing is lent: its share has no limits any more. What was given out of
    /// rates ends before the times that are returned.
    Begun end_path(const PathName& path);
    /// At the other shards: nothing begins over it here any more.
    void leave_path(const PathName& path);

    /// Other settings. They count for what begins from now on; connections over a lowered limit end
    /// after what they have in hand.
    void use(const Settings& settings);
    /// Once a second.
    void tick();
    /// Writes the counts of quotas that have changed.
    Task<> keep();
    /// When nothing is sent any more: what was given out and not used is counted back.
    Task<> stop();

  private:
    struct Keeper {
        void use(const TotalLimits& limits, ShardId shards);
        std::optional<UnitKeeper> units;
        std::optional<SlotKeeper> messages, connections;
        QuotaCounts on_disk;
    };
    TotalLimits limits_of(const TotalKey& key) const;
    ShardId keeper_of(const TotalKey& key) const;
    Keeper& keeper(const TotalKey& key);
    void soon(Share& share);
    Task<> tell_later();
    void send(const TotalKey& key, ShareTold told);
    void hear(const TotalKey& key, ShardId from, const ShareTold& told);
    void give(const TotalKey& key, const ShareGiven& given);
    void send_award(const TotalKey& key, ShardId to, const UnitAward& award);
    void keep_soon();
    Task<> keep_quotas();

    SharesParts parts_;
    KeptNotes notes_;
    std::map<TotalKey, TotalLimits> limits_;  // of the settings, those that there are
    std::map<TotalKey, TotalLimits> paths_;   // that are shared now
    std::map<TotalKey, std::unique_ptr<Share>> shares_;
    std::map<TotalKey, Keeper> keepers_;
    std::vector<Share*> news_;
    struct Unheard {
        TotalKey key;
        ShardId from;
        ShareTold told;
    };
    std::vector<Unheard> unheard_;             // until what was sent of quotas is known
    std::map<std::string, QuotaCounts> kept_;  // as read at the start
    bool loaded_ = false, stopped_ = false, keeping_ = false, telling_ = false;
    Scope scope_;
};

}  // namespace engine

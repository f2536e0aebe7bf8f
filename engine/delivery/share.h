// Share: one shard's part of a total, and who waits for it here. Its sites open connections and
// begin messages out of it; what it does not have it asks the total's keeper for (shares.h).
#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "engine/delivery/slot_lease.h"
#include "engine/delivery/total_limits.h"
#include "engine/delivery/unit_lease.h"
#include "engine/reactor/signal.h"

namespace engine {

/// Who opens connections out of shares: a Site.
class Guest {
  public:
    virtual ~Guest() = default;
    virtual size_t connections() const = 0;
    /// That it would open at once if its shares had room for them.
    virtual size_t connections_lacking() const = 0;
    /// There may be room: it opens what it can, or waits again.
    virtual void room() = 0;
    /// Its idle connections look whether they should give way.
    virtual void look_at_idle() = 0;
};

/// What a shard tells the keeper of a total, and what comes back.
struct ShareTold {
    std::optional<UnitNeed> units;
    std::optional<SlotAsk> messages, connections;
    bool any() const { return units || messages || connections; }
};
struct ShareGiven {
    std::optional<UnitAward> units;
    std::optional<SlotGrant> messages, connections;
    bool any() const { return units || messages || connections; }
};

class Share {
  public:
    /// `news`: called when there is something to tell; at most once before tell().
    Share(TotalKey key, TotalLimits limits, std::move_only_function<void(Share*)> news);
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    const TotalKey& key() const { return key_; }
    const TotalLimits& limits() const { return limits_; }
    /// A reload: what has begun by the limits before ends by them. Connections that stand count for
    /// a first limit of theirs.
    void use(const TotalLimits& limits);
    /// As if it were new; nothing of it is in use.
    void start(const TotalLimits& limits);

    /// Connections that have begun before there was this limit are counted from now on.
    void adopt(uint32_t connections);
    /// Nothing begins here any more: what it has goes back as it gets free.
    void let_go();

    // Connections.
    bool may_connect(const Guest& guest, Instant now);
    /// One begins, which may_connect() has allowed.
    void connect(Instant now);
    /// So many stand that began before this share was asked.
    void stand(size_t connections) { standing_ += connections; }
    /// One has ended: whoever waits is told. Units are alike: one gets free when there are more
    /// than connections, whether or not that one began with it.
    void disconnected();
    /// `guest` would open more and this share does not let it: it is called when there may be room.
    void wait(Guest& guest, Instant now);
    void leave(Guest& guest);
    bool waits(const Guest& guest) const { return waiting_.contains(&guest); }
    /// The next that may be begun, by their rate; max: that will be told.
    Instant next_connection(Instant now);
    enum class Between : uint8_t { mails, nothing };  // what a connection is: busy, or idle
    /// Whether a connection should end now for the sake of others: an idle one for whoever waits, a
    /// busy one for who has none, or for another shard. True is a promise to end.
    bool gives_way(const Guest& guest, Between between);
    /// False: it is not in the list, since without a limit nobody ever waits (77 octets a guest).
    bool add_idle(Guest& guest);
    void remove_idle(Guest& guest);
    const UnitShare& units() const { return units_; }

    // Messages. Whoever cannot begin one stands in line (MessagePlace).
    bool take_message(Instant now, size_t wanted);
    bool may_begin(Instant now, size_t wanted);  // whether it would be true
    /// One that was taken has not begun.
    void give_back_message(Instant now);
    Instant next_message(Instant now) { return messages_.next(now); }
    /// What holds messages, or connections of `guest`, back now.
    std::optional<TotalLimit> holds_messages(Instant now) const;
    std::optional<TotalLimit> holds_connections(const Guest& guest, Instant now);
    Instant held_until(TotalLimit limit, Instant now);

    // For Shares.
    ShareTold tell(Instant now);
    ShareTold tell_all(Instant now);  // once a second
    void given(const ShareGiven& given, Instant now);

  private:
    friend class MessagePlace;
    struct Waiting {
        bool newcomer = false;  // it has no connection at all
        std::list<Guest*>::iterator place;
    };
    std::list<Guest*>& line_of(bool newcomer) { return newcomer ? newcomers_ : others_; }
    void note_news();
    void ask_messages(size_t wanted, Instant now);
    bool has_unit_for(const Guest& guest) const;
    uint32_t units_wanted() const;
    void serve_slow();
    void serve();
    void wake_idle(size_t count);

    TotalKey key_;
    TotalLimits limits_;
    std::move_only_function<void(Share*)> news_;
    bool told_news_ = false;
    UnitShare units_;
    size_t standing_ = 0;  // connections, also without a limit
    SlotShare messages_, connections_;
    size_t messages_wanted_ = 0, connections_asked_ = 0;
    std::list<Guest*> newcomers_, others_;  // first come first served, newcomers before others
    std::unordered_map<const Guest*, Waiting> waiting_;
    // Without a moment to begin a connection in: called when some are granted.
    std::list<Guest*> slow_;
    std::unordered_set<const Guest*> is_slow_;
    struct Idle {
        size_t connections = 0;
        std::list<Guest*>::iterator place;
    };
    std::list<Guest*> idle_;
    std::unordered_map<const Guest*, Idle> idle_of_;
    std::list<Signal*> line_;      // for messages
    const Guest* turn_ = nullptr;  // whose turn it is to take one unit
    bool serving_ = false;
    size_t promised_ = 0;  // connections that are about to end for others
};

/// A place in the line for messages; gives itself up when it dies.
class MessagePlace {
  public:
    MessagePlace(Share& share, Signal& turn);
    MessagePlace(const MessagePlace&) = delete;
    MessagePlace& operator=(const MessagePlace&) = delete;
    ~MessagePlace();

    const Share& share() const { return share_; }
    /// It is its turn and the time has come: one message may begin.
    bool take(Instant now, size_t wanted);
    /// When to look again; max: it will be notified.
    Instant next(Instant now);

  private:
    Share& share_;
    std::list<Signal*>::iterator place_;
};

}  // namespace engine

// Claims: what one source's way to a site takes of the totals that it counts for: those of the
// provider, the source, the pool and the node, and of its path's limits while the site is spread
// over all shards. A connection, or a message, begins when all of them let it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/delivery/path.h"
#include "engine/delivery/share.h"

namespace engine {

class Shares;

class Claims {
  public:
    using Listed = uint8_t;  // by which shares a connection is known to be idle

    Claims(Shares& shares, const std::string& site, const std::string& provider,
           const std::string& source, const std::string& pool);

    /// The path's share counts, too, from now on; null: there is none.
    void share_path(Share* path);

    // Connections.
    bool may_connect(const Guest& guest, Instant now);
    void connect(Instant now);
    void disconnected();
    /// At those that do not let it.
    void wait(Guest& guest, Instant now);
    void leave(Guest& guest);
    /// As far as it is known: a time that has passed when something else is waited for.
    Instant next_connection(Instant now);
    bool gives_way(const Guest& guest, Share::Between between);
    /// What comes back is for the end of its idleness.
    Listed add_idle(Guest& guest);
    void remove_idle(Guest& guest, Listed listed);

    // Messages; `wanted`: how many could begin soon. What is had of some totals, while another one
    // does not let the message begin, is kept for the next try.
    bool take_message(Instant now, size_t wanted);
    bool may_begin(Instant now, size_t wanted) const;  // whether it would be true
    /// The first that does not let one begin; null: all have.
    Share* lacking(Instant now, size_t wanted);
    /// A place in its line has had its turn.
    void have(const Share& share);
    /// What is had is used, by a message that begins.
    void begin_message() { has_ = 0; }
    /// What is had goes to others.
    void give_back(Instant now);
    /// Of a message that was to begin and does not.
    void give_back_message(Instant now);

    /// A quota is used up.
    bool full(Instant now) const;
    Instant full_until(Instant now) const;  // a time that has passed: none is
    std::optional<Binding> holds_messages(Instant now) const;
    std::optional<Binding> holds_connections(const Guest& guest, Instant now) const;

  private:
    static Binding binding_of(Share& share, TotalLimit limit, Instant now);

    auto shares() const { return std::span(shares_).first(count_); }

    std::array<Share*, 5> shares_{};  // the last one is the path's, when there is one
    uint32_t connections_ = 0;        // that stand
    uint8_t count_ = 4;
    uint8_t has_ = 0;  // shares that have let the next message begin
};

}  // namespace engine

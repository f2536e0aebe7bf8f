// Path: one source's way to one site. What is counted here is what the receiver counts against our
// address: connections, messages, complaints. The Sites of all demands and pools that use the
// source share it.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "engine/delivery/automation.h"
#include "engine/delivery/limits.h"
#include "engine/delivery/sources.h"
#include "engine/delivery/tempo.h"
#include "engine/delivery/total_limits.h"
#include "engine/delivery/warmup.h"
#include "engine/reactor/signal.h"

namespace engine {

/// What holds a path, or a whole site, back now.
struct Binding {
    std::string_view limit;  // a label of metrics: "rate", "connections", "reply", "learned_rate"…
    Instant until = Instant::max();  // max: until something else happens
    std::string origin;              // "sluice.toml:12"; empty: no setting
    std::string reason;              // for people, where there is more to say
};

/// What is worth keeping of a path over a restart.
struct PathNotes {
    Tempo::Learned tempo{};
    Warmup::Sent sent{};
    bool operator==(const PathNotes&) const = default;
};

struct Path {
    Path(SourceId id, std::shared_ptr<const SourceSettings> settings, const PathNotes& notes,
         Instant now)
        : source(id),
          noted(notes != PathNotes{}),
          from(std::move(settings)),
          tempo(notes.tempo, now),
          warmup(notes.sent) {}

    SourceId source;              // in the settings in force
    bool noted;                   // TempoMemory knows something of it
    uint32_t live = 0;            // connections, from the dial to the close
    uint32_t open = 0;            // of these: greeted
    uint32_t open_elsewhere = 0;  // likewise, on other shards, as they last said (spread.h)
    uint32_t surplus = 0;         // of `live`: beyond a limit that was lowered; they end soon
    uint32_t taken_untold = 0;    // messages that the receiver took since the owner was last told
    std::shared_ptr<const SourceSettings> from;  // as they have it; a copy would be 944 octets
    Instant last_message{}, last_connection{};
    Tempo tempo;
    std::unique_ptr<Automation> automation;  // null: nothing was heard that a rule is about
    Warmup warmup;
    /// Nothing is begun before: an automation rule, or the day's part of a new source.
    Instant rest_until{};
    struct Rest {
        std::string_view limit;  // "rest" or "warmup"
        std::string reason, origin;
    };
    std::unique_ptr<const Rest> last_rest;  // null: there was none yet
    double served = 0;                      // messages, divided by the weight
    std::list<Signal*> line;  // of connections that wait to begin a message, first come

    bool rests(Instant now) const { return now < rest_until; }
    /// A longer rest that is there already stays.
    void rest(std::string_view limit, Instant until, std::string reason, std::string origin);
    PathNotes notes() const {
        return {tempo.learned(), from->warmup ? warmup.sent() : Warmup::Sent{}};
    }

    /// The earliest time of the next message.
    Instant next_message(const Limits& limits) const;
    /// How many connections may be there now.
    size_t connections_max(const Limits& limits, Instant now) const;
    Instant next_connection(const Limits& limits) const;
    void begin_message(const Limits& limits, Instant now);
    /// On other shards the last message, or connection, has begun before these.
    void begun_elsewhere(const TotalLimits& limits, Instant next_message, Instant next_connection);
    /// What keeps messages from beginning, or connections from being opened.
    std::optional<Binding> holds_messages(const Limits& limits, Instant now) const;
    std::optional<Binding> holds_connections(const Limits& limits, Instant now) const;
};

}  // namespace engine

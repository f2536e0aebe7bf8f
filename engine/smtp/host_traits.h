// HostTraits: what earlier connections to a host have shown about it. Shared by the sessions that
// speak with it, on one shard; a session writes down what it sees.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "engine/reactor/reactor.h"
#include "engine/smtp/depth.h"

namespace engine {

struct HostTraits {
    enum class Shown : uint8_t { not_yet, yes, no };

    /// How long a thing that was learned is kept. Receivers are updated; a wrong guess must heal.
    static constexpr auto kept_for = std::chrono::hours(72);

    Shown reads_behind_content = Shown::not_yet;  // a command behind a final dot got its own reply
    Shown skips_refused_chunk = Shown::not_yet;   // a refused BDAT's octets are no commands
    bool chunks_fail = false;                     // BDAT has misbehaved: DATA from now on
    Depth depth_max = Depth::messages;            // after trouble: one step below where it was
    uint32_t messages_max = 0;       // after which it ended a connection; 0: never seen
    uint32_t recipients_max = 0;     // of a transaction that it called full; 0: never seen
    Instant until = Instant::max();  // then it is forgotten
    bool operator==(const HostTraits&) const = default;

    /// Trouble while `depth` was in use.
    void step_down_from(Depth depth, Instant now) {
        if (depth == Depth::lock_step) return;
        depth_max = std::min(depth_max, static_cast<Depth>(static_cast<uint8_t>(depth) - 1));
        until = now + kept_for;
    }
};

}  // namespace engine

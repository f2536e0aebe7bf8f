// Depth: how much of the dialogue is under way at a time.
#pragma once

#include <cstdint>
#include <string_view>

namespace engine {

/// Each one needs what is below it.
enum class Depth : uint8_t {
    lock_step,  // one command at a time
    envelope,   // MAIL, RCPT and DATA in one write (RFC 2920)
    next,       // and the next envelope in the same write behind a content
    messages    // whole messages, several at a time (RFC 3030)
};
std::string_view to_string(Depth depth);

/// What an operator allows, and what a connection is for.
struct SessionPlan {
    enum class Open : uint8_t { after_probe, at_once };

    Depth depth = Depth::next;      // at most
    Open next = Open::after_probe;  // Depth::next before the host has shown that it can
    uint32_t window = 8;            // messages in flight at Depth::messages
    uint32_t messages_max = 0;      // over one connection; 0: no limit
};

}  // namespace engine

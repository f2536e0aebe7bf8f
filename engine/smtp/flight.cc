#include "engine/smtp/flight.h"

#include <algorithm>

namespace engine {

std::string_view Flight::next_group(size_t commands_max) {
    const size_t count =
        depth == Depth::lock_step ? 1 : std::min(commands_max, envelope->size() - written);
    const std::string_view octets = envelope->bytes(written, count);
    written += count;
    return octets;
}

Outcome Flight::outcome(Instant now) {
    Outcome outcome = std::move(*transaction).outcome();
    if (enveloped == Instant{}) enveloped = now;
    outcome.envelope = enveloped - begun;
    outcome.content = now - enveloped;
    outcome.whole = now - begun;
    outcome.depth = depth;
    outcome.in_flight = in_flight;
    return outcome;
}

}  // namespace engine

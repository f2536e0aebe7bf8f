// One connection as TLS reports see it: what it was to have and what it had.
#pragma once

#include <cstdint>

#include "engine/net/tls.h"

namespace engine {

struct ObservedTls {
    uint64_t number =
        0;  // the same for all mail of one connection; 0: there was no session to speak of
    TlsLevel level = TlsLevel::plain;
    TlsFailure failure = TlsFailure::none;
    enum class Dane : uint8_t {
        none,
        usable,
        unusable,  // records, none of which can be used
        unknown    // whether there are any could not be looked up
    };
    Dane dane = Dane::none;
};

}  // namespace engine

// Capabilities: what a server offers in its reply to EHLO (RFC 5321 4.1.1.1).
#pragma once

#include <cstdint>

#include "engine/smtp/reply.h"

namespace engine {

struct Capabilities {
    bool esmtp = false;  // false: only HELO worked; no parameters then
    bool pipelining = false, chunking = false, eight_bit_mime = false, smtp_utf8 = false,
         dsn = false, enhanced_status_codes = false, starttls = false, size = false,
         require_tls = false;
    uint8_t auth = 0;       // of AuthMechanism (engine/smtp/credentials.h): those that we know
    uint64_t size_max = 0;  // 0: none stated (RFC 1870: no fixed limit)
    // LIMITS (RFC 9422); 0: none stated.
    uint32_t messages_max = 0;    // MAILMAX, over one connection
    uint32_t recipients_max = 0;  // RCPTMAX, of one transaction
};

/// Unknown keywords are ignored; a SIZE that is no number counts as SIZE without one, a number
/// beyond 64 bits as the largest.
Capabilities parse_capabilities(const Reply& ehlo);

}  // namespace engine

// How long a session waits for what.
#pragma once

#include <chrono>

namespace engine {

/// RFC 5321 4.5.3.2; each is also the deadline of a whole reply, so that a drip cannot hold a slot.
struct SmtpTimeouts {
    std::chrono::milliseconds connect = std::chrono::seconds(30);
    std::chrono::milliseconds banner = std::chrono::minutes(5);
    std::chrono::milliseconds command = std::chrono::minutes(5);
    std::chrono::milliseconds tls =
        std::chrono::minutes(1);  // the reply to STARTTLS; the handshake
    std::chrono::milliseconds data = std::chrono::minutes(2);
    std::chrono::milliseconds body = std::chrono::minutes(3);  // per block written
    std::chrono::milliseconds final = std::chrono::minutes(10);
    std::chrono::milliseconds quit =
        std::chrono::seconds(5);  // not to hang on its reply (4.1.1.10)
};

}  // namespace engine

// TLS for the client's side of a connection: STARTTLS (RFC 3207), or from the first octet on.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "engine/net/tls.h"
#include "engine/net/tls_stream.h"
#include "engine/smtp/dialogue.h"
#include "engine/smtp/outcome.h"

namespace engine {

/// With whom, and how.
struct TlsStart {
    std::shared_ptr<const TlsContext> context;
    TlsSessions* sessions = nullptr;  // outlives the connection; null: none are kept
    Worker* worker = nullptr;         // for the arithmetic; null: here
    std::string host;                 // a name, or an address in brackets
    TlsDemand demand;                 // what the certificate is checked against
    /// Lays a stream over the protected one, for somebody who wants to hear what is said; or empty.
    std::function<std::unique_ptr<Stream>(Stream&)> listen;
};

struct TlsLine {
    std::unique_ptr<TlsStream> stream;
    std::unique_ptr<Stream> heard;  // over it; or null
};
using TlsStarted = std::expected<TlsLine, Verdict>;

/// Says STARTTLS and shakes hands; from then on the dialogue is spoken through the stream that
/// comes back, which the caller keeps as long. The error is a deferral in stage tls: no_tls when
/// the host refused in order, and may be spoken to in plaintext; anything else, and the connection
/// is of no more use. Octets behind the 220 would be read as if they had come through TLS
/// (CVE-2011-0411): they are such an error.
Task<TlsStarted> start_tls(Dialogue* dialogue, TlsStart with, std::chrono::milliseconds allowed);

/// The handshake alone, at once after the connection stands.
Task<TlsStarted> shake_hands(Dialogue* dialogue, TlsStart with, std::chrono::milliseconds allowed);

}  // namespace engine

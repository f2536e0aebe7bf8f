// Introduction: a connection from its first octet to its first transaction, as the mail that waits
// for it demands: TLS, greeting, STARTTLS, what the certificate must prove, log-in. What comes back
// carries such mail, or says in words why it may not.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "engine/smtp/credentials.h"
#include "engine/smtp/session.h"
#include "engine/smtp/starttls.h"

namespace engine {

struct Introduction {
    Session* session = nullptr;  // outlives it
    std::string ehlo_name;
    bool tls_first = false;  // from the first octet on
    TlsStart tls;            // with the demand of the mail and of the host together
    std::shared_ptr<const Credentials> credentials;  // to log in with; or null
    enum class Line : uint8_t { open, closed };
    Line line = Line::open;  // closed: nobody can listen even where it is not encrypted, or the
                             // operator does not mind
};

/// The error is a verdict for all mail that waits: deferred, with the stage and, where the host did
/// not say it itself, our words. Not one octet of mail has gone out then. A failure in stage tls
/// may be tried again without TLS, over a new connection, where the demand is no more than plain.
Task<std::expected<void, Verdict>> introduce(Introduction how);

}  // namespace engine

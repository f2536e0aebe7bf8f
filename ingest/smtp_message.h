// From a received message to a job: options out of its header, a trace field into it, content
// compiled. Pure: no I/O, no clock; it may run on a worker.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "engine/delivery/intake.h"
#include "ingest/known_pool.h"
#include "ingest/smtp_envelope.h"

namespace ingest {

/// Who handed the message over, for its Received field (RFC 5321 4.4). An empty `helo` leaves that
/// clause out.
struct SmtpTrace {
    std::string helo;
    std::string peer;      // "[192.0.2.1]"; empty: of this host
    std::string protocol;  // "ESMTPSA" (RFC 3848, 6531)
};

struct SmtpSubmission {
    MailFrom mail;
    std::vector<engine::Recipient> recipients;
    std::string message;  // CRLF line ends
    SmtpTrace trace;
    std::string tenant;  // of the login; empty: the message may name any
    KnownPool known_pool = is_default_pool;
};

struct SmtpJob {
    engine::JobPart part;
    std::string idempotency_key;  // empty: none
    std::string digest;           // of envelope and message, when there is a key
};

/// `origin` names the job that it becomes; `origin.host` is our name. The error is the reply to the
/// content, with all that is wrong with it, a line each.
std::expected<SmtpJob, SmtpReply> make_smtp_job(SmtpSubmission submission,
                                                const engine::Origin& origin);

}  // namespace ingest

// From a received message to a job: options out of its header, a trace field into it, content
// compiled. Pure: no I/O, no clock; it may run on a worker.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "engine/delivery/intake.h"
#include "ingest/smtp_command.h"

namespace ingest {

struct SmtpSubmission {
    std::string sender;
    std::vector<engine::Recipient> recipients;
    std::string message;        // CRLF line ends
    std::string helo, peer;     // for the trace field
    std::string_view protocol;  // "ESMTP" or "SMTP"
};

struct SmtpJob {
    engine::JobPart part;
    std::string idempotency_key;  // empty: none
};

/// `origin` names the job that it becomes; `origin.host` is our name. The error is the reply to the
/// content, with all that is wrong with it, a line each.
std::expected<SmtpJob, SmtpReply> make_smtp_job(SmtpSubmission submission,
                                                const engine::Origin& origin);

}  // namespace ingest

// AUTH (RFC 4954), the client's side: PLAIN, LOGIN, CRAM-MD5 and XOAUTH2.
#pragma once

#include <expected>
#include <memory>

#include "engine/smtp/capabilities.h"
#include "engine/smtp/credentials.h"
#include "engine/smtp/dialogue.h"
#include "engine/smtp/outcome.h"
#include "engine/smtp/timeouts.h"

namespace engine {

/// Logs in with the best mechanism that both sides have. Whether the line is safe enough for it is
/// the caller's decision. The dialogue outlives the task. The error applies to all mail for this
/// connection and is always a deferral: a wrong password is ours to mend, and the mail is not lost
/// meanwhile. No secret is in its text, unless the host says our own words back.
Task<std::expected<void, Verdict>> authenticate(Dialogue* dialogue, Capabilities offered,
                                                std::shared_ptr<const Credentials> credentials,
                                                std::chrono::milliseconds allowed);

}  // namespace engine

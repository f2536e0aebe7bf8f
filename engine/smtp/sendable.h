// Whether a host can carry a mail at all, by what it has said in EHLO.
#pragma once

#include <optional>

#include "engine/smtp/capabilities.h"
#include "engine/smtp/mail.h"
#include "engine/smtp/reply.h"

namespace engine {

/// Why this host can never take this mail, in our words; nothing when it can. Decided before a word
/// is written.
std::optional<Reply> unsendable(const Mail& mail, const Capabilities& host);

}  // namespace engine

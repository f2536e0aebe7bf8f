// Flight: a mail that a session has taken, from then until its outcome is given back.
#pragma once

#include <optional>

#include "engine/smtp/commands.h"
#include "engine/smtp/content_blocks.h"
#include "engine/smtp/host_traits.h"
#include "engine/smtp/transaction.h"

namespace engine {

struct Flight {
    explicit Flight(Mail taken) : mail(std::move(taken)) {}

    Mail mail;
    std::optional<Outcome> decided;  // it never goes onto the wire
    std::optional<Envelope> envelope;
    std::optional<Transaction> transaction;  // its first command is written, or is about to be
    std::optional<ContentBlocks> blocks;     // of a whole message that is gathered for a write
    Depth depth = Depth::lock_step;          // at which it was written
    size_t written = 0, answered = 0;        // commands; the content counts as the last answer
    uint32_t in_flight = 0;
    Instant begun{}, enveloped{};

    void decide(const Verdict& verdict) {
        decided = Outcome{.verdicts = std::vector<Verdict>(mail.recipients.size(), verdict)};
    }

    /// The octets of its next group of commands, which count as written.
    std::string_view next_group(size_t commands_max);
    Outcome outcome(Instant now);
};

}  // namespace engine

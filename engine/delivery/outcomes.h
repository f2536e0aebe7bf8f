// What an attempt's verdict means for the ledger: the event that tells of it, and the row that
// stays or goes.
#pragma once

#include <optional>
#include <random>
#include <vector>

#include "engine/delivery/loan.h"
#include "engine/delivery/settings.h"
#include "storage/types.h"

namespace engine {

/// What the sender is told of it (RFC 3464); only of mail that asks for it.
enum class Report : uint8_t { none, failed, delayed, relayed };

/// One change of one delivery. The old row goes; `next` is the new one of a deferral, nothing when
/// it ended.
struct Decision {
    LoanTerms terms;  // as it was
    storage::Event event;
    std::optional<storage::Delivery> next;
    Report report = Report::none;
    bool own_words = false;  // the event's code and reply are ours, no host's
};

/// What follows is what the outcome table says (outcome_table.h). The attempt is counted. A
/// deferral moves the due time along the retry schedule with 10% jitter; one that would come after
/// its expiry is moved to the expiry, and one that has reached it expires.
Decision decide(LoanTerms terms, const Attempt& attempt, const Settings& settings, WallTime now,
                std::mt19937_64& random);
/// Ends a delivery whose time is over, without an attempt.
Decision expire(LoanTerms terms, WallTime now);

/// Puts off a delivery whose content cannot be read: nobody but an operator can mend that, until it
/// expires.
Decision content_lost(LoanTerms terms, const Settings& settings, WallTime now,
                      std::mt19937_64& random);

/// Delay before the attempt after number `attempts` (from 1), without jitter.
std::chrono::milliseconds retry_delay(const Settings& settings, uint32_t attempts);

/// One atomic batch: rows, new rows and events of all decisions, behind what `batch` holds already.
storage::Batch batch_of(const std::vector<Decision>& decisions, storage::Batch batch = {});
/// What a deferral leaves behind for the words of an expiry.
std::shared_ptr<const LastWord> last_word_of(const Decision& decision);

}  // namespace engine

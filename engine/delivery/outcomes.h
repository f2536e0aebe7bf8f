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

/// Why it is not known whether the receiver has the mail.
enum class DoubtCause : uint8_t {
    none,        // it is known
    connection,  // lost, or silent, between the end of the content and its reply
    crash,       // the daemon ended between the end of the content and the record of its outcome
    power        // so did the machine
};
std::string_view to_string(DoubtCause cause);

/// One change of one delivery. The old row goes; `next` is the new one of a deferral, nothing when
/// it ended.
struct Decision {
    LoanTerms terms;  // as it was
    storage::Event event;
    std::optional<storage::Delivery> next;
    Report report = Report::none;
    bool own_words = false;  // the event's code and reply are ours, no host's
    DoubtCause doubt = DoubtCause::none;
    WhenInDoubt way_out = WhenInDoubt::retry;  // of the doubt, if there is one
    bool suppresses = false;  // its recipient goes onto the tenant's suppression list
};

enum class HeldAnswer : uint8_t { retry, delivered };

/// What follows is what the outcome table says (outcome_table.h). The attempt is counted. A
/// deferral moves the due time along the retry schedule with 10% jitter; one that would come after
/// its expiry is moved to the expiry, and one that has reached it expires. What is in doubt goes as
/// Settings::when_in_doubt says: held, it is due at its expiry.
Decision decide(LoanTerms terms, Attempt attempt, const Settings& settings, WallTime now,
                std::mt19937_64& random);
/// What an operator says of a delivery that was held in doubt: that the receiver has it, or that it
/// goes again, at once.
Decision settle_held(LoanTerms terms, HeldAnswer answer, std::string sender, WallTime now);
/// Ends a delivery whose time is over, without an attempt.
Decision expire(LoanTerms terms, WallTime now);
/// Ends one whose recipient is on a suppression list.
Decision suppress(LoanTerms terms, WallTime now);
/// Ends one that an operator has cancelled, in their words.
Decision cancel(LoanTerms terms, std::string_view reason, WallTime now);

/// Puts off a delivery whose content cannot be read: nobody but an operator can mend that, until it
/// expires.
Decision content_lost(LoanTerms terms, const Settings& settings, WallTime now,
                      std::mt19937_64& random);

/// Puts off one of which nobody knows whether its recipient is on a suppression list.
Decision list_lost(LoanTerms terms, const Settings& settings, WallTime now,
                   std::mt19937_64& random);

/// The same for one of which nobody knows whether its recipient is on a suppression list.
Decision list_lost(LoanTerms terms, const Settings& settings, WallTime now,
                   std::mt19937_64& random);

/// Delay before the attempt after number `attempts` (from 1), without jitter.
std::chrono::milliseconds retry_delay(const Settings& settings, uint32_t attempts);

/// One atomic batch: rows, new rows and events of all decisions, behind what `batch` holds already.
/// Bounces of the classes that put a recipient on its tenant's suppression list do so in that
/// batch.
storage::Batch batch_of(std::vector<Decision> decisions, storage::Batch batch = {});
/// The same into a batch, which then holds the events of the decisions, at its end, until
/// take_back(): an event is a kilobyte of small texts.
void give(std::vector<Decision>& decisions, storage::Batch& batch);
void take_back(std::vector<Decision>& decisions, storage::Batch& batch);
/// What a deferral leaves behind for the words of an expiry.
std::shared_ptr<const LastWord> last_word_of(const Decision& decision);

}  // namespace engine

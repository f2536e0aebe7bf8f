// The outcome table: what follows from each way in which an attempt can go, in one place. A row is
// found by where it was, what went wrong, and what was said; the first that fits counts. The
// dialogue's own rules (which reply belongs to which recipient, what is in doubt) stand in
// engine/smtp/transaction.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/bounce/bounce_class.h"
#include "engine/dns/resolver.h"
#include "engine/smtp/outcome.h"

namespace engine {

/// What follows.
enum class Course : uint8_t {
    taken,      // it is the receiver's now
    again,      // at once, on a connection: nobody has judged this mail yet
    next_host,  // another address or host of the route; when none is left: OutcomeRow::at_last
    later,      // by the retry schedule
    bounce      // never
};
std::string_view to_string(Course course);

/// Whether the whole site goes slower for it, beside what happens to the mail.
enum class Pace : uint8_t {
    same,
    slower_if_throttled,  // when the reply's class says that we are too fast
    no_new_connections    // for a time that doubles while no host takes one
};
std::string_view to_string(Pace pace);

struct OutcomeRow {
    std::string_view name;
    uint32_t stages;    // bits by Stage; 0: any
    uint32_t failures;  // bits by Failure; 0: any
    uint16_t code_min, code_max;
    enum class Only : uint8_t { any, delivered, untried, in_doubt } only;
    Course course;
    Course at_last;  // of next_host, when every host ended so
    Pace pace;
    std::string_view when, why;
    // Scripts (*.smtp), cases of tests/e2e (test_*), unit tests (Suite.Name); parted by blanks.
    std::string_view shown_by;
};

std::span<const OutcomeRow> outcome_table();
/// There is a row for everything.
const OutcomeRow& outcome_row(const Verdict& verdict);
/// What becomes of the delivery at its home, where "again" has run out and no host is left.
Course final_course(const Verdict& verdict);
/// Whether what was said slows the whole site down: not what is about one mailbox (x.2.z).
bool slows_site(const Verdict& verdict, BounceClass klass);

/// The verdict on what has no route, or on a host without addresses: bounced or deferred by the
/// table.
Verdict verdict_of(const NoRoute& why);
/// The verdict on a connection that could not be made.
Verdict verdict_of_dial(const Error& error);

}  // namespace engine

#include "engine/delivery/outcomes.h"

#include <algorithm>
#include <array>

#include "engine/delivery/in_doubt.h"
#include "engine/delivery/outcome_table.h"
#include "engine/delivery/suppressed.h"
#include "metrics/check.h"

namespace engine {

namespace {

using storage::Delivery;
using storage::Event;

constexpr std::string_view held_words = "; held until an operator decides, or it expires";
constexpr std::string_view assumed_words = "; taken as delivered, as [in_doubt] says";

Event event_for(const LoanTerms& terms, Event::Type type, WallTime now) {
    Event event;
    event.type = type;
    event.time = now;
    event.delivery = terms.delivery.id;
    event.tenant = terms.queue->tenant;
    event.campaign = terms.queue->campaign;
    event.klass = terms.queue->klass;
    event.domain = terms.queue->domain;
    event.to = terms.delivery.recipient;
    event.meta = terms.delivery.meta;
    if (terms.job) event.from = terms.job->job().sender;
    return event;
}

/// Takes the attempt's texts.
void describe(Event& event, Attempt attempt, const LoanTerms& terms) {
    event.site = std::move(attempt.site);
    event.provider = std::move(attempt.provider);
    event.mx = std::move(attempt.mx);
    event.ip = std::move(attempt.ip);
    event.source = std::move(attempt.source);
    event.tls = std::move(attempt.tls);
    event.in_doubt = attempt.verdict.in_doubt;
    event.may_be_duplicate = terms.delivery.doubt != storage::Doubt::none;
    event.attempt = terms.delivery.attempts + 1;
    event.stage = std::string(to_string(attempt.verdict.stage));
    if (attempt.verdict.stage == Stage::none) event.stage.clear();
    event.code = attempt.verdict.reply.code;
    event.enhanced = std::move(attempt.verdict.reply.enhanced);
    event.reply = std::move(attempt.verdict.reply.text);
    if (attempt.verdict.in_doubt) event.reply += " (in doubt: the receiver may have taken it)";
    event.queue_ms =
        static_cast<uint64_t>(std::max<int64_t>((attempt.started - terms.delivery.due).count(), 0));
    event.smtp_ms = attempt.smtp_ms;
}

void set_class(Event& event, BounceClass klass) {
    event.bounce_class = to_string(klass);
    event.bounce_kind = to_string(kind_of(klass));
}

/// Words with a code that no host has said.
bool is_own(const Verdict& verdict) {
    return verdict.stage == Stage::dns || verdict.failure == Failure::cannot_carry ||
           verdict.failure == Failure::content_lost;
}

/// Whether the mail asks for reports at all.
bool is_reported(const LoanTerms& terms) {
    if (!terms.job || (terms.delivery.notify & storage::notify::never) != 0) return false;
    // Never about what has no sender: reports are such mail themselves (RFC 5321 6.1).
    return terms.job->job().reports && !terms.job->job().sender.empty();
}

bool wants(const LoanTerms& terms, uint8_t what) {
    const uint8_t notify = terms.delivery.notify;
    return notify == 0 ? what != storage::notify::success : (notify & what) != 0;
}

/// Once for each delivery and without a memory of it: the time at which mail counts as late falls
/// either between an attempt's due time and its end, or between that and the next due time.
bool becomes_late(const LoanTerms& terms, WallTime now, WallTime next_due,
                  const Settings& settings) {
    if (settings.report_delay_after.count() == 0) return false;
    const WallTime late = terms.delivery.accepted + settings.report_delay_after;
    return (terms.delivery.due < late && late <= now) || (now < late && late <= next_due);
}

/// As much of a bounce as a list keeps.
std::string reason_of(const Event& event) {
    constexpr size_t octets_max = 200;
    std::string text = event.bounce_class;
    if (event.code != 0) text += ": " + std::to_string(event.code);
    if (!event.enhanced.empty()) text += " " + event.enhanced;
    return (text + " " + event.reply).substr(0, octets_max);
}

std::chrono::milliseconds jittered(std::chrono::milliseconds delay, std::mt19937_64& random) {
    std::uniform_real_distribution<double> factor(0.9, 1.1);
    return std::chrono::milliseconds(std::max<int64_t>(
        static_cast<int64_t>(static_cast<double>(delay.count()) * factor(random)), 1));
}

}  // namespace

std::chrono::milliseconds retry_delay(const Settings& settings, uint32_t attempts) {
    CHECK(!settings.retry_schedule.empty(), "the retry schedule is empty");
    const size_t last = settings.retry_schedule.size() - 1;
    return settings.retry_schedule[std::min<size_t>(attempts > 0 ? attempts - 1 : 0, last)];
}

Decision expire(LoanTerms terms, WallTime now) {
    Event event = event_for(terms, Event::Type::expired, now);
    event.attempt = terms.delivery.attempts;
    if (terms.delivery.attempts == 0) {
        event.reply = "expired before a first attempt";
    } else if (terms.delivery.doubt == storage::Doubt::held) {
        event.reply = "expired while it was held in doubt: no operator decided";
    } else if (terms.last) {
        const Reply& reply = terms.last->reply;
        event.mx = terms.last->mx;
        event.reply = "expired; the last attempt ended with: ";
        if (reply.code != 0) event.reply += std::to_string(reply.code) + ' ';
        if (!reply.enhanced.empty()) event.reply += reply.enhanced + ' ';
        event.reply += reply.text;
    } else {
        event.reply = "expired; the deferrals before tell why";
    }
    set_class(event, BounceClass::message_expired);
    const bool told = is_reported(terms) && wants(terms, storage::notify::failure);
    return {.terms = std::move(terms),
            .event = std::move(event),
            .next = std::nullopt,
            .report = told ? Report::failed : Report::none};
}

Decision suppress(LoanTerms terms, WallTime now) {
    Event event = event_for(terms, Event::Type::suppressed, now);
    event.attempt = terms.delivery.attempts;
    event.reply = suppressed_words;
    const bool told = is_reported(terms) && wants(terms, storage::notify::failure);
    return {.terms = std::move(terms),
            .event = std::move(event),
            .next = std::nullopt,
            .report = told ? Report::failed : Report::none};
}

Decision cancel(LoanTerms terms, std::string_view reason, WallTime now) {
    Event event = event_for(terms, Event::Type::cancelled, now);
    event.attempt = terms.delivery.attempts;
    event.reply = reason.empty() ? "cancelled" : "cancelled: " + std::string(reason);
    return {.terms = std::move(terms), .event = std::move(event), .next = std::nullopt};
}

Decision decide(LoanTerms terms, Attempt attempt, const Settings& settings, WallTime now,
                std::mt19937_64& random) {
    const Course course = final_course(attempt.verdict);
    const WallTime expires = terms.delivery.expires;
    const bool in_doubt = attempt.verdict.in_doubt && course == Course::later;
    const WhenInDoubt policy = settings.when_in_doubt(terms.queue->klass);
    const bool assumed = in_doubt && policy == WhenInDoubt::assume_delivered;
    Event::Type type = Event::Type::deferred;
    if (course == Course::taken || assumed)
        type = Event::Type::delivered;
    else if (course == Course::bounce)
        type = Event::Type::bounced;
    else if (now >= expires)
        type = Event::Type::expired;

    std::optional<BounceClass> klass;
    if (type == Event::Type::expired)
        klass = BounceClass::message_expired;
    else if (type != Event::Type::delivered)
        klass = settings.bounce_rules->classify(attempt.verdict, attempt.mx);
    const bool own_words = is_own(attempt.verdict);
    const bool host_reports = attempt.host_reports;
    Event event = event_for(terms, type, now);
    describe(event, std::move(attempt), terms);
    if (assumed) event.reply += assumed_words;
    const DoubtCause doubt = in_doubt ? DoubtCause::connection : DoubtCause::none;
    bool suppresses = false;
    if (klass) {
        set_class(event, *klass);
        suppresses =
            type == Event::Type::bounced && settings.suppresses(terms.queue->tenant, *klass);
    }
    const bool reported = is_reported(terms);
    Report report = Report::none;
    if (type != Event::Type::deferred) {
        if (type == Event::Type::delivered) {
            if (reported && !host_reports && wants(terms, storage::notify::success))
                report = Report::relayed;
        } else if (reported && wants(terms, storage::notify::failure)) {
            report = Report::failed;
        }
        return {.terms = std::move(terms),
                .event = std::move(event),
                .next = std::nullopt,
                .report = report,
                .own_words = own_words,
                .doubt = doubt,
                .way_out = policy,
                .suppresses = suppresses};
    }

    const uint32_t attempts = terms.delivery.attempts + 1;
    Delivery next = terms.delivery;
    next.attempts = attempts;
    // Never the same key twice: the due time always moves forward.
    next.due = std::max(std::min(now + jittered(retry_delay(settings, attempts), random), expires),
                        terms.delivery.due + std::chrono::milliseconds(1));
    if (in_doubt) next.doubt = storage::Doubt::may_be_duplicate;
    if (in_doubt && policy == WhenInDoubt::hold) {
        next.doubt = storage::Doubt::held;
        next.due = std::max(expires, terms.delivery.due + std::chrono::milliseconds(1));
        event.reply += held_words;
    } else {
        event.next_attempt = next.due;
    }
    if (reported && wants(terms, storage::notify::delay) &&
        becomes_late(terms, now, next.due, settings))
        report = Report::delayed;
    return {.terms = std::move(terms),
            .event = std::move(event),
            .next = std::move(next),
            .report = report,
            .own_words = own_words,
            .doubt = doubt,
            .way_out = policy};
}

Decision settle_held(LoanTerms terms, HeldAnswer answer, std::string sender, WallTime now) {
    const bool delivered = answer == HeldAnswer::delivered;
    Event event = event_for(terms, delivered ? Event::Type::delivered : Event::Type::deferred, now);
    event.from = std::move(sender);
    event.attempt = terms.delivery.attempts;
    event.in_doubt = true;
    Decision decision;
    if (delivered) {
        event.reply = "was in doubt; an operator says that the receiver has it";
    } else {
        event.reply = "was in doubt; an operator says that it is sent again";
        decision.next = terms.delivery;
        decision.next->doubt = storage::Doubt::may_be_duplicate;
        decision.next->due = std::min(now, terms.delivery.due - std::chrono::milliseconds(1));
        event.next_attempt = decision.next->due;
    }
    decision.terms = std::move(terms);
    decision.event = std::move(event);
    decision.own_words = true;
    return decision;
}

std::string_view to_string(DoubtCause cause) {
    constexpr std::array<std::string_view, 4> names{"none", "connection", "crash", "power"};
    return names.at(static_cast<size_t>(cause));
}

std::string_view to_string(WhenInDoubt policy) {
    constexpr std::array<std::string_view, 3> names{"retry", "hold", "assume_delivered"};
    return names.at(static_cast<size_t>(policy));
}

std::shared_ptr<const LastWord> last_word_of(const Decision& decision) {
    const Event& event = decision.event;
    return std::make_shared<const LastWord>(
        event.mx, Reply{decision.own_words ? uint16_t{0} : event.code, event.enhanced,
                        event.reply.substr(0, LastWord::text_octets_max)});
}

namespace {
/// Only an operator can mend the store: bouncing would make it final.
Decision store_lost(LoanTerms terms, std::string words, const Settings& settings, WallTime now,
                    std::mt19937_64& random) {
    Attempt attempt;
    attempt.verdict.reply = {451, "4.3.0", std::move(words)};
    attempt.verdict.failure = Failure::content_lost;
    attempt.started = now;
    return decide(std::move(terms), std::move(attempt), settings, now, random);
}
}  // namespace

Decision content_lost(LoanTerms terms, const Settings& settings, WallTime now,
                      std::mt19937_64& random) {
    return store_lost(std::move(terms),
                      "the stored content of this job cannot be read (see the log)", settings, now,
                      random);
}

Decision list_lost(LoanTerms terms, const Settings& settings, WallTime now,
                   std::mt19937_64& random) {
    return store_lost(std::move(terms),
                      "whether the address is on a suppression list cannot be read (see the log)",
                      settings, now, random);
}

void give(std::vector<Decision>& decisions, storage::Batch& batch) {
    batch.removes.reserve(decisions.size());
    batch.events.reserve(batch.events.size() + decisions.size());
    for (Decision& decision : decisions) {
        batch.removes.push_back(storage::key_of(decision.terms.delivery));
        if (decision.next) batch.puts.push_back(*decision.next);
        note_held(decision, batch);
        const Event& event = batch.events.emplace_back(std::move(decision.event));
        if (!decision.suppresses) continue;
        batch.suppressions.push_back({.tenant = event.tenant,
                                      .address = suppressed_form(event.to, event.domain),
                                      .reason = reason_of(event),
                                      .source = "bounce",
                                      .time = event.time});
    }
}

void take_back(std::vector<Decision>& decisions, storage::Batch& batch) {
    CHECK(batch.events.size() >= decisions.size(), "a batch has lost events");
    auto event = batch.events.end() - static_cast<ptrdiff_t>(decisions.size());
    for (Decision& decision : decisions) decision.event = std::move(*event++);
}

storage::Batch batch_of(std::vector<Decision> decisions, storage::Batch batch) {
    give(decisions, batch);
    return batch;
}

}  // namespace engine

#include "engine/delivery/outcomes.h"

#include <algorithm>

#include "engine/delivery/outcome_table.h"
#include "metrics/check.h"

namespace engine {

namespace {

using storage::Delivery;
using storage::Event;

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

void describe(Event& event, const Attempt& attempt, const LoanTerms& terms) {
    event.site = attempt.site;
    event.provider = attempt.provider;
    event.mx = attempt.mx;
    event.ip = attempt.ip;
    event.tls = attempt.tls;
    event.in_doubt = attempt.verdict.in_doubt;
    event.attempt = terms.delivery.attempts + 1;
    event.stage = std::string(to_string(attempt.verdict.stage));
    if (attempt.verdict.stage == Stage::none) event.stage.clear();
    event.code = attempt.verdict.reply.code;
    event.enhanced = attempt.verdict.reply.enhanced;
    event.reply = attempt.verdict.reply.text;
    if (attempt.verdict.in_doubt) event.reply += " (in doubt: the receiver may have taken it)";
    event.queue_ms =
        static_cast<uint64_t>(std::max<int64_t>((attempt.started - terms.delivery.due).count(), 0));
    event.smtp_ms = attempt.smtp_ms;
}

void set_class(Event& event, BounceClass klass) {
    event.bounce_class = to_string(klass);
    event.bounce_kind = to_string(kind_of(klass));
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
    event.reply = terms.delivery.attempts == 0 ? "expired before a first attempt"
                                               : "expired; the deferrals before tell why";
    set_class(event, BounceClass::message_expired);
    return {std::move(terms), std::move(event), std::nullopt};
}

Decision decide(LoanTerms terms, const Attempt& attempt, const Settings& settings, WallTime now,
                std::mt19937_64& random) {
    const Course course = final_course(attempt.verdict);
    const WallTime expires = terms.delivery.expires;
    Event::Type type = Event::Type::deferred;
    if (course == Course::taken)
        type = Event::Type::delivered;
    else if (course == Course::bounce)
        type = Event::Type::bounced;
    else if (now >= expires)
        type = Event::Type::expired;

    Event event = event_for(terms, type, now);
    describe(event, attempt, terms);
    if (type != Event::Type::delivered) {
        const BounceClass klass = type == Event::Type::expired ? BounceClass::message_expired
                                                               : settings.bounce_rules->classify(
                                                                     attempt.verdict, attempt.mx);
        set_class(event, klass);
    }
    if (type != Event::Type::deferred) return {std::move(terms), std::move(event), std::nullopt};

    const uint32_t attempts = terms.delivery.attempts + 1;
    Delivery next = terms.delivery;
    next.attempts = attempts;
    // Never the same key twice: the due time always moves forward.
    next.due = std::max(std::min(now + jittered(retry_delay(settings, attempts), random), expires),
                        terms.delivery.due + std::chrono::milliseconds(1));
    event.next_attempt = next.due;
    return {std::move(terms), std::move(event), std::move(next)};
}

Decision content_lost(LoanTerms terms, const Settings& settings, WallTime now,
                      std::mt19937_64& random) {
    Attempt attempt;
    attempt.verdict.reply = {451, "4.3.0",
                             "the stored content of this job cannot be read (see the log)"};
    attempt.verdict.failure = Failure::content_lost;
    attempt.started = now;
    return decide(std::move(terms), attempt, settings, now, random);
}

storage::Batch batch_of(const std::vector<Decision>& decisions) {
    storage::Batch batch;
    batch.removes.reserve(decisions.size());
    batch.events.reserve(decisions.size());
    for (const Decision& decision : decisions) {
        batch.removes.push_back(storage::key_of(decision.terms.delivery));
        if (decision.next) batch.puts.push_back(*decision.next);
        batch.events.push_back(decision.event);
    }
    return batch;
}

}  // namespace engine

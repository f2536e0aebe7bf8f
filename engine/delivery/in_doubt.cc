#include "engine/delivery/in_doubt.h"

#include <algorithm>

#include "engine/delivery/outcome_metrics.h"
#include "metrics/log.h"
#include "storage/codec.h"
#include "storage/ids.h"

namespace engine {

namespace {

constexpr uint8_t held_version = 1;
constexpr size_t decisions_per_commit = 4'096;

storage::Note note_of(const Decision& decision) {
    storage::Writer out;
    const storage::DeliveryKey key = storage::key_of(*decision.next);
    out.byte(held_version);
    out.fixed64(key.queue.high);
    out.fixed64(key.queue.low);
    out.time(key.due);
    out.time(decision.event.time);
    out.string(decision.event.domain);
    return {storage::to_text(key.id), out.take()};
}

/// The delivery if its row still is as the attempt found it: else its outcome was recorded.
storage::Result<std::optional<LoanTerms>> terms_of(const storage::InDoubt& entry,
                                                   storage::Store& store, ContentMemory& memory) {
    auto row = store.delivery(entry.key);
    if (!row) return std::unexpected(row.error());
    if (!*row || (*row)->attempts != entry.attempts) return std::nullopt;
    auto queue = store.queue(entry.key.queue);
    if (!queue) return std::unexpected(queue.error());
    auto job = store.job(entry.key.id.job);
    if (!job) return std::unexpected(job.error());
    LoanTerms terms;
    terms.delivery = std::move(**row);
    terms.queue = std::make_shared<const storage::QueueInfo>(queue->value_or(storage::QueueInfo{}));
    if (*job) terms.job = std::make_shared<const JobInfo>(std::move((*job)->job), nullptr, memory);
    return terms;
}

Attempt attempt_of(const storage::InDoubt& entry) {
    Attempt attempt;
    attempt.started = entry.since;
    attempt.verdict.stage = Stage::body;
    attempt.verdict.in_doubt = true;
    attempt.verdict.failure = Failure::cut;
    attempt.verdict.reply.text =
        "this daemon ended between the end of the content and the record of its outcome";
    return attempt;
}

}  // namespace

void note_held(const Decision& decision, storage::Batch& batch) {
    if (decision.terms.delivery.doubt == storage::Doubt::held) {
        batch.notes.push_back({.kind = std::string(Held::kind),
                               .note = {storage::to_text(decision.terms.delivery.id), {}}});
    }
    if (decision.next && decision.next->doubt == storage::Doubt::held)
        batch.notes.push_back({.kind = std::string(Held::kind), .note = note_of(decision)});
}

std::optional<Held> read_held(const storage::Note& note) {
    const auto id = storage::parse_delivery_id(note.name);
    storage::Reader in(note.value);
    if (!id || in.byte() != held_version) return std::nullopt;
    Held held;
    held.key.id = *id;
    held.key.queue.high = in.fixed64();
    held.key.queue.low = in.fixed64();
    held.key.due = in.time();
    held.since = in.time();
    held.domain = in.string();
    return in.finished() ? std::optional(std::move(held)) : std::nullopt;
}

storage::Result<size_t> settle_in_doubt(std::vector<storage::InDoubt> left, DoubtCause cause,
                                        storage::Store& store, const Settings& settings,
                                        metrics::Registry& registry, WallTime now,
                                        std::mt19937_64& random) {
    // A power cut may leave the slot of an earlier try beside that of a later one.
    const auto repeated = std::ranges::unique(left, {}, &storage::InDoubt::key);
    left.erase(repeated.begin(), repeated.end());

    ContentMemory memory;
    OutcomeMetrics metrics(registry);
    size_t settled = 0;
    uint64_t group = 0;
    std::vector<Decision> decisions;
    const auto commit = [&]() -> storage::Result<void> {
        if (decisions.empty()) return {};
        const storage::Batch batch = batch_of(decisions);
        const auto committed = store.commit({&batch, 1}, 0, ++group);
        if (!committed) return std::unexpected(committed.error());
        for (const Decision& decision : decisions) metrics.count(decision, now);
        settled += decisions.size();
        decisions.clear();
        return {};
    };
    for (const storage::InDoubt& entry : left) {
        auto terms = terms_of(entry, store, memory);
        if (!terms && terms.error().code == storage::Errc::corruption) {
            metrics::log::error(
                "in_doubt.unreadable",
                {{"delivery", storage::to_text(entry.key.id)}, {"error", terms.error().what}});
            continue;  // the row waits for fsck; if it can be read again it goes again
        }
        if (!terms) return std::unexpected(terms.error());
        if (!*terms) continue;
        Decision decision = decide(std::move(**terms), attempt_of(entry), settings, now, random);
        decision.doubt = cause;
        decision.own_words = true;
        decisions.push_back(std::move(decision));
        if (decisions.size() < decisions_per_commit) continue;
        if (auto done = commit(); !done) return std::unexpected(done.error());
    }
    if (auto done = commit(); !done) return std::unexpected(done.error());
    if (settled > 0) {
        metrics::log::warn(
            "in_doubt.found",
            {{"deliveries", settled},
             {"cause", to_string(cause)},
             {"transactional", to_string(settings.when_in_doubt(storage::Class::transactional))},
             {"bulk", to_string(settings.when_in_doubt(storage::Class::bulk))}});
    }
    return settled;
}

storage::Result<size_t> settle_left_in_doubt(storage::InDoubtFiles& files, storage::Store& store,
                                             const Settings& settings, metrics::Registry& registry,
                                             WallTime now) {
    for (const std::string& damage : files.damage())
        metrics::log::warn("in_doubt.journal_damaged", {{"what", damage}});
    const DoubtCause cause = files.machine_restarted() ? DoubtCause::power : DoubtCause::crash;
    std::mt19937_64 random(std::random_device{}());
    const auto settled =
        settle_in_doubt(files.left(), cause, store, settings, registry, now, random);
    if (!settled) return settled;
    if (files.machine_restarted()) {
        metrics::log::warn(
            "in_doubt.after_power_cut",
            {{"why",
              "the machine was restarted: mail whose content ended in the last two seconds before "
              "may be missing in the journal, and goes again without a word"}});
    }
    files.begin();
    return settled;
}

}  // namespace engine

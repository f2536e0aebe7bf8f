#include "engine/delivery/shard_intake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>

#include "metrics/catalog.h"
#include "metrics/check.h"

namespace engine {

namespace {

void key_into(std::string& key, const storage::Job& job, std::string_view domain) {
    key.clear();
    key.append(job.tenant).push_back('\0');
    key.append(job.campaign).push_back('\0');
    key.push_back(static_cast<char>('0' + static_cast<int>(job.klass)));
    key.append(domain);
}

/// An event has twenty fields, and a delivery a dozen: growing would move all of them again.
void make_room(const std::vector<JobPart>& parts, storage::Batch& batch,
               std::vector<Spool::Origin>& origins) {
    size_t recipients = 0;
    for (const JobPart& part : parts) recipients += part.recipients.size();
    batch.jobs.reserve(parts.size());
    batch.events.reserve(recipients);
    batch.puts.reserve(recipients);
    origins.reserve(recipients);
}

}  // namespace

void QueueDigest::Free::operator()(evp_md_ctx_st* context) const {
    EVP_MD_CTX_free(context);
}
void QueueDigest::Free::operator()(evp_md_st* digest) const {
    EVP_MD_free(digest);
}

QueueDigest::QueueDigest()
    : sha256_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
    CHECK(sha256_ && context_, "OpenSSL has no SHA-256");
}

storage::QueueId QueueDigest::of(std::string_view key) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> bytes{};
    CHECK(EVP_DigestInit_ex2(context_.get(), sha256_.get(), nullptr) == 1 &&
              EVP_DigestUpdate(context_.get(), key.data(), key.size()) == 1 &&
              EVP_DigestFinal_ex(context_.get(), bytes.data(), nullptr) == 1,
          "SHA-256 fails");
    storage::QueueId id;
    for (size_t i = 0; i < 8; ++i) {
        id.high = (id.high << 8) | bytes[i];
        id.low = (id.low << 8) | bytes[8 + i];
    }
    return id;
}

storage::QueueId queue_id(const storage::QueueInfo& info) {
    std::string key;
    key_into(key, {.tenant = info.tenant, .campaign = info.campaign, .klass = info.klass},
             info.domain);
    return QueueDigest().of(key);
}

/// One commit in the making.
struct ShardIntake::Draft {
    WallTime now{};
    storage::Batch batch;
    std::vector<Spool::Origin> origins;
    // Whose rows this commit makes durable, with the number of the entry that it is for.
    std::vector<std::pair<storage::QueueId, uint64_t>> new_queues;
    uint64_t suppressed = 0;  // recipients that it ends
};

ShardIntake::ShardIntake(Reactor& reactor, Spool& spool, const Gate& gate, ShardId shard,
                         storage::JobId floor, const SettingsInForce& settings,
                         ContentMemory& memory, Worker& worker, storage::Store& store,
                         metrics::Registry& metrics)
    : reactor_(reactor),
      spool_(spool),
      gate_(gate),
      ids_(shard, floor),
      settings_(settings),
      node_name_(settings->node_name),
      memory_(memory),
      worker_(worker),
      store_(store),
      suppressed_(
          metrics.counter(metrics::catalog::messages_completed, {"default", "suppressed"})) {}

ShardIntake::Known& ShardIntake::known_queue(const storage::Job& job, const std::string& domain) {
    key_into(key_, job, domain);
    const storage::QueueId id = digest_.of(key_);
    if (const auto found = known_queues_.find(id); found != known_queues_.end()) return *found;
    // Those of yesterday go when as many have been asked for since: with one more than there is
    // room for, each would otherwise be forgotten before its next turn.
    auto older = older_queues_.extract(id);
    if (known_queues_.size() >= known_queues_max) older_queues_ = std::exchange(known_queues_, {});
    if (!older.empty()) return *known_queues_.insert(std::move(older)).position;
    auto info = std::make_shared<const storage::QueueInfo>(
        storage::QueueInfo{job.tenant, job.campaign, job.klass, domain});
    return *known_queues_.emplace(id, KnownQueue{std::move(info), ++last_number_}).first;
}

void ShardIntake::forget(storage::QueueId id) {
    known_queues_.erase(id);
    older_queues_.erase(id);
}

Task<> ShardIntake::rewrite_rows(std::vector<storage::QueueId> queues) {
    for (const storage::QueueId id : queues) {
        forget(id);
        rewritten_.insert(id);
    }
    co_await spool_.settled();
}

void ShardIntake::let_go(const std::vector<storage::QueueId>& queues) {
    for (const storage::QueueId id : queues) {
        // What it was written by meanwhile may have been dropped again.
        forget(id);
        rewritten_.erase(id);
    }
}

/// Mail whose sender is to be told of failures is left to the home: reports are made there.
bool ShardIntake::has_list(const JobPart& part) const {
    const storage::Job& job = part.job->job;
    return !job.reports && store_.suppressed_upto(job.tenant) != storage::JobId{};
}

Task<storage::Result<ShardIntake::Suppressed>> ShardIntake::look_up(
    const std::vector<JobPart>* parts) {
    Suppressed found(parts->size());
    if (std::ranges::none_of(*parts, [&](const JobPart& part) { return has_list(part); }))
        co_return found;
    storage::Result<void> read;
    co_await worker_.run([&] {
        std::vector<std::string> addresses;
        for (size_t i = 0; i < parts->size() && read; ++i) {
            const JobPart& part = (*parts)[i];
            if (!has_list(part)) continue;
            addresses.clear();
            for (const Recipient& recipient : part.recipients)
                addresses.push_back(suppressed_form(recipient.address, recipient.routing_domain));
            auto one = engine::look_up(store_, part.job->job.tenant, addresses);
            if (one)
                found[i] = std::move(*one);
            else
                read = std::unexpected(one.error());
        }
    });
    if (!read) co_return std::unexpected(read.error());
    // What cannot be told now is accepted, and the home asks once more: it can put mail off.
    for (size_t i = 0; i < found.size(); ++i)
        if (std::ranges::find(found[i], Listed::unreadable) != found[i].end())
            store_.look_again((*parts)[i].job->job.tenant, reactor_.wall());
    co_return found;
}

void ShardIntake::add_part(JobPart& part, const std::vector<Listed>& suppressed, Draft& draft) {
    OpenJob& open = *part.job;
    if (!open.info) {
        open.info = std::make_shared<const JobInfo>(open.job, open.content, memory_);
        storage::Job row = open.job;
        row.content = open.content->encode();
        draft.batch.jobs.push_back(std::move(row));
    }
    const WallTime due = std::max(open.send_at.value_or(draft.now), draft.now);
    const WallTime expires = due + open.expires_in.value_or(settings_->expires);
    for (size_t i = 0; i < part.recipients.size(); ++i) {
        Recipient& recipient = part.recipients[i];
        const bool ends_here = !suppressed.empty() && suppressed[i] == Listed::yes;
        const auto& [queue_id, queue] = known_queue(open.job, recipient.routing_domain);
        if (!ends_here &&
            (!queue.row_durable || (!rewritten_.empty() && rewritten_.contains(queue_id)))) {
            draft.batch.queues.emplace_back(queue_id, *queue.info);
            draft.new_queues.emplace_back(queue_id, queue.number);
        }
        storage::Event& event = draft.batch.events.emplace_back();
        event.type = storage::Event::Type::accepted;
        event.time = draft.now;
        event.delivery = {open.job.id, open.recipients++};
        event.tenant = open.job.tenant;
        event.campaign = open.job.campaign;
        event.klass = open.job.klass;
        event.from = open.job.sender;
        event.to = recipient.address;
        event.domain = recipient.routing_domain;
        event.meta = recipient.meta;
        if (ends_here) {
            // In the same commit: it is in the ledger, and there is no row of it.
            storage::Event end = event;
            end.type = storage::Event::Type::suppressed;
            end.reply = suppressed_words;
            draft.batch.events.push_back(std::move(end));
            ++open.suppressed;
            ++draft.suppressed;
            continue;
        }
        draft.batch.puts.push_back({.id = event.delivery,
                                    .queue = queue_id,
                                    .recipient = std::move(recipient.address),
                                    .vars = std::move(recipient.vars),
                                    .meta = std::move(recipient.meta),
                                    .notify = recipient.notify,
                                    .orcpt = std::move(recipient.orcpt),
                                    .attempts = 0,
                                    .accepted = draft.now,
                                    .due = due,
                                    .expires = expires,
                                    .mark = {}});
        draft.origins.push_back({open.info, queue.info});
    }
    if (part.last) draft.batch.job_ends.push_back(open.job.id);
}

void ShardIntake::add_own(JobPart part, storage::Batch& batch,
                          std::vector<Spool::Origin>& origins) {
    CHECK(batch.puts.size() == origins.size(), "new deliveries stand in front of moved ones");
    Draft draft{.now = reactor_.wall(),
                .batch = std::move(batch),
                .origins = std::move(origins),
                .new_queues = {}};
    add_part(part, {}, draft);
    batch = std::move(draft.batch);
    origins = std::move(draft.origins);
}

Task<std::expected<void, Refusal>> ShardIntake::accept(
    std::vector<JobPart> parts, std::vector<storage::IdempotencyRecord> idempotency) {
    if (auto refused = refusal()) co_return std::unexpected(std::move(*refused));
    co_await spool_.room();
    const auto suppressed = co_await look_up(&parts);
    if (!suppressed) {
        for (const JobPart& part : parts) part.job->refused = true;
        co_return std::unexpected(refusal_for(suppressed.error()));
    }
    Draft draft;
    draft.now = reactor_.wall();
    make_room(parts, draft.batch, draft.origins);
    for (size_t i = 0; i < parts.size(); ++i) {
        JobPart& part = parts[i];
        // An earlier part of the job was refused: the rest would be mail without a job.
        if (part.job->refused) co_return std::unexpected(refusal_for(Refusal::Why::storage_failed));
        add_part(part, (*suppressed)[i], draft);
    }
    draft.batch.idempotency = std::move(idempotency);
    std::vector<std::shared_ptr<OpenJob>> jobs;
    jobs.reserve(parts.size());
    for (const JobPart& part : parts) jobs.push_back(part.job);
    const auto committed =
        co_await spool_.accept(std::move(draft.batch), std::move(draft.origins), std::move(jobs));
    if (!committed) co_return std::unexpected(refusal_for(committed.error()));
    for (const auto& [id, number] : draft.new_queues)
        for (KnownQueues* known : {&known_queues_, &older_queues_})
            if (const auto found = known->find(id);
                found != known->end() && found->second.number == number)
                found->second.row_durable = true;
    suppressed_.add(draft.suppressed);
    co_return std::expected<void, Refusal>{};
}

}  // namespace engine

// Lending: whose turn it is at a site, within credits, and what of it goes there.
#include <algorithm>

#include "engine/delivery/home.h"
#include "engine/reactor/sleep.h"
#include "metrics/log.h"

namespace engine {

namespace {

constexpr size_t lent_overhead = 64;                         // in the set of what is lent
constexpr auto suppression_retry = std::chrono::seconds(1);  // after a list could not be read

size_t bytes_of(const storage::Delivery& delivery) {
    return sizeof(Loan) + lent_overhead + delivery.recipient.size() + delivery.vars.size() +
           delivery.meta.size() + delivery.orcpt.size();
}

}  // namespace

/// It has something due for this site: it is lent from in its turn.
void Home::have_turn(Link& link, Queue& target, Where where) {
    const storage::QueueInfo& info = *target.info;
    const bool room = link.order.add(
        {info.klass, info.tenant, info.campaign, parts_.settings->weight_of(info.tenant)}, &target,
        where);
    if (room) offer(link);
}

void Home::offer(Link& link) {
    if (link.lendable) return;
    link.lendable = true;
    lendable_.push_back(&link);
}

/// Of all loans of this home. Contents are counted apart.
size_t Home::loan_bytes_max() const {
    return parts_.settings->memory_bytes / 8 / parts_.shards;
}

/// Of each class: what keeps the site's connections busy, as long as that is a small part of what
/// is free of the memory for loans; so ten thousand slow sites leave some of it to the next one.
size_t Home::credit_of(const Link& link) const {
    const size_t free = loan_bytes_max() - std::min(lent_bytes_, loan_bytes_max());
    const size_t of_one = std::max(loan_bytes, lent_bytes_ / std::max<size_t>(lent_.size(), 1));
    return std::clamp(free / 16 / of_one, LendingOrder<Queue*>::allowance_min, link.credit);
}

LoanTerms Home::terms_of(Queue& owner, Waiting waiting, uint64_t link) {
    lent_.insert(waiting.delivery.id);
    ++owner.lent;
    const size_t bytes = bytes_of(waiting.delivery);
    lent_bytes_ += bytes;
    return {.delivery = std::move(waiting.delivery),
            .job = std::move(waiting.job),
            .queue = owner.info,
            .home = parts_.shard,
            .link = link,
            .bytes = bytes,
            .last = std::move(waiting.last),
            .via = owner.via};
}

/// First those whose heads have been read for their turn.
std::optional<Home::Turn> Home::next_turn(Link& link) {
    while (!link.fetched.empty()) {
        Queue& next = *link.fetched.front();
        link.fetched.pop_front();
        const storage::QueueInfo& info = *next.info;
        const size_t room = link.order.come_back(info.klass, info.tenant, quantum);
        if (room > 0) return Turn{&next, room};
        next.place = Queue::Place::ready;
        have_turn(link, next);  // its tenant's share has shrunk meanwhile
    }
    return link.order.next(quantum);
}

void Home::lend(Link& link, WallTime now) {
    Lending lending{link.route, link.site, link.domain, link.tls, parts_.settings.number(), {}};
    std::vector<LoanTerms> unsure;
    std::vector<Decision> decisions;
    link.order.set_credit(credit_of(link), lent_bytes_ > loan_bytes_max());
    for (fetch_more(link); const auto turn = next_turn(link); fetch_more(link)) {
        Queue& source = *turn->item;
        source.place = Queue::Place::idle;
        const size_t goes_on = std::exchange(source.turn_left, 0);
        const std::shared_ptr<const storage::QueueInfo> info = source.info;
        if (source.way_epoch != way_epoch_) {  // found by settings that are no more
            link.order.lent(info->klass, info->tenant, 0);
            schedule(source);
            forget_if_empty(source);
            continue;
        }
        if (obey(source, link) == Obeyed::elsewhere) {
            link.order.lent(info->klass, info->tenant, 0);
            continue;
        }
        if (is_due(source, now) && !source.window.first_loaded()) {
            link.order.set_aside(source.info->klass, source.info->tenant, quantum);
            source.place = Queue::Place::fetching;
            source.fetched_for = &link;
            link.unread.push_back(&source);
            continue;
        }
        size_t lent = 0, taken = 0;
        const storage::JobId suppressed_upto = parts_.store.suppressed_upto(info->tenant);
        std::vector<Waiting> all_due = source.window.take_due(now, turn->room);
        if (lending.loans.empty()) lending.loans.reserve(all_due.size());
        for (Waiting& due : all_due) {
            ++taken;
            auto over = ended(*source.info, due.delivery, now);
            const bool lost = !due.job->content();
            LoanTerms terms = terms_of(source, std::move(due), over || lost ? 0 : link.id);
            if (over) {
                over->terms = std::move(terms);
                decisions.push_back(decision_of(std::move(*over), now));
            } else if (lost) {
                decisions.push_back(
                    content_lost(std::move(terms), *parts_.settings, now, parts_.reactor.random()));
            } else {
                ++lent;
                auto& where = may_be_suppressed(terms, suppressed_upto) ? unsure : lending.loans;
                where.push_back(std::move(terms));
            }
        }
        if (!is_due(source, now)) {
            schedule(source);
        } else {
            // Its next turn is near: it is read ahead, so that the site does not wait for the disk.
            const bool near = link.order.waiting() < near_turns;
            if (near && source.window.cursor() && source.window.size() < room(now) / 2)
                want_refill(source);
            source.place = Queue::Place::ready;
            const bool first = goes_on > taken && source.window.first_loaded();
            if (first) source.turn_left = goes_on - taken;
            have_turn(link, source, first ? Where::front : Where::back);
        }
        link.order.lent(info->klass, info->tenant, lent);
        forget_if_empty(source);
    }
    record_later(std::move(decisions));
    if (!unsure.empty()) {
        Lending checked{lending.route, lending.site,     lending.domain,
                        lending.tls,   lending.settings, {}};
        scope_.spawn(lend_checked(std::move(checked), std::move(unsure)));
    }
    if (!lending.loans.empty()) parts_.lender.lend(std::move(lending));
}

/// Recipients were compared with the lists as they were accepted: only what was accepted before the
/// latest entry is looked up once more; and what ShardIntake leaves to us.
bool Home::may_be_suppressed(const LoanTerms& terms, storage::JobId upto) {
    const storage::Job& job = terms.job->job();
    return terms.delivery.id.job <= upto ||
           (upto != storage::JobId{} && (job.sender.empty() || job.reports));
}

/// In one go what stands together of one tenant.
storage::Result<std::vector<Listed>> Home::look_up_all(const std::vector<LoanTerms>& unsure) const {
    std::vector<Listed> listed;
    for (size_t i = 0; i < unsure.size();) {
        const std::string& tenant = unsure[i].queue->tenant;
        std::vector<std::string> addresses;
        for (; i < unsure.size() && unsure[i].queue->tenant == tenant; ++i)
            addresses.push_back(
                suppressed_form(unsure[i].delivery.recipient, unsure[i].queue->domain));
        const auto found = look_up(parts_.store, tenant, addresses);
        if (!found) return std::unexpected(found.error());
        listed.insert(listed.end(), found->begin(), found->end());
    }
    return listed;
}

/// They are lent already, as far as credits go, and nobody has them yet.
Task<> Home::lend_checked(Lending lending, std::vector<LoanTerms> unsure) {
    storage::Result<std::vector<Listed>> listed;
    co_await parts_.worker.run([&] { listed = look_up_all(unsure); });
    const WallTime now = parts_.reactor.wall();
    std::vector<Decision> decisions;
    std::vector<Return> back;
    for (size_t i = 0; i < unsure.size(); ++i) {
        if (stopping_ || !listed) {
            back.push_back({std::move(unsure[i]), std::nullopt});
        } else if ((*listed)[i] == Listed::yes) {
            decisions.push_back(suppress(std::move(unsure[i]), now));
        } else if ((*listed)[i] == Listed::unreadable) {
            decisions.push_back(
                list_lost(std::move(unsure[i]), *parts_.settings, now, parts_.reactor.random()));
        } else {
            lending.loans.push_back(std::move(unsure[i]));
        }
    }
    record_later(std::move(decisions));
    if (!lending.loans.empty()) parts_.lender.lend(std::move(lending));
    if (!listed) {
        metrics::log::error("suppression.read_failed", {{"error", listed.error().what},
                                                        {"deliveries", back.size()},
                                                        {"hint", "they are tried again"}});
        co_await sleep_for(parts_.reactor, suppression_retry);
    }
    if (!back.empty()) settle(std::move(back));
}

}  // namespace engine

#include "engine/delivery/claims.h"

#include <algorithm>

#include "engine/delivery/shares.h"

namespace engine {

namespace {

constexpr uint8_t bit(size_t place) {
    return static_cast<uint8_t>(1u << place);
}

}  // namespace

Claims::Claims(Shares& shares, const std::string& site, const std::string& provider,
               const std::string& source, const std::string& pool)
    : shares_{&shares.of(TotalOf::provider, provider), &shares.of(TotalOf::source, source),
              &shares.of(TotalOf::pool, pool), &shares.of(TotalOf::node, {})} {
    share_path(shares.path({site, source}));
}

bool Claims::may_connect(const Guest& guest, Instant now) {
    for (Share* share : shares())
        if (!share->may_connect(guest, now)) return false;
    return true;
}

void Claims::share_path(Share* path) {
    if (!path || count_ == shares_.size()) return;
    shares_[count_++] = path;
    path->stand(connections_);
}

void Claims::connect(Instant now) {
    ++connections_;
    for (Share* share : shares()) share->connect(now);
}

void Claims::disconnected() {
    --connections_;
    for (Share* share : shares()) share->disconnected();
}

void Claims::wait(Guest& guest, Instant now) {
    for (Share* share : shares())
        if (!share->may_connect(guest, now)) share->wait(guest, now);
}

void Claims::leave(Guest& guest) {
    for (Share* share : shares()) share->leave(guest);
}

Instant Claims::next_connection(Instant now) {
    Instant next{};
    for (Share* share : shares()) next = std::max(next, share->next_connection(now));
    return next;
}

bool Claims::gives_way(const Guest& guest, Share::Between between) {
    for (Share* share : shares())
        if (share->gives_way(guest, between)) return true;
    return false;
}

Claims::Listed Claims::add_idle(Guest& guest) {
    Listed listed = 0;
    for (size_t i = 0; i < count_; ++i)
        if (shares_[i]->add_idle(guest)) listed |= bit(i);
    return listed;
}

void Claims::remove_idle(Guest& guest, Listed listed) {
    for (size_t i = 0; i < count_; ++i)
        if ((listed & bit(i)) != 0) shares_[i]->remove_idle(guest);
}

bool Claims::take_message(Instant now, size_t wanted) {
    if (lacking(now, wanted)) return false;
    begin_message();
    return true;
}

bool Claims::may_begin(Instant now, size_t wanted) const {
    for (size_t i = 0; i < count_; ++i)
        if ((has_ & bit(i)) == 0 && !shares_[i]->may_begin(now, wanted)) return false;
    return true;
}

Share* Claims::lacking(Instant now, size_t wanted) {
    for (size_t i = 0; i < count_; ++i) {
        if ((has_ & bit(i)) != 0) continue;
        if (!shares_[i]->take_message(now, wanted)) return shares_[i];
        has_ |= bit(i);
    }
    return nullptr;
}

void Claims::have(const Share& share) {
    for (size_t i = 0; i < count_; ++i)
        if (shares_[i] == &share) has_ |= bit(i);
}

void Claims::give_back(Instant now) {
    for (size_t i = 0; i < count_; ++i)
        if ((has_ & bit(i)) != 0) shares_[i]->give_back_message(now);
    has_ = 0;
}

void Claims::give_back_message(Instant now) {
    for (Share* share : shares()) share->give_back_message(now);
}

Binding Claims::binding_of(Share& share, TotalLimit limit, Instant now) {
    return {limit_label(share.key().of, limit), share.held_until(limit, now),
            share.limits().origin(limit), words_of(share.key(), share.limits(), limit)};
}

bool Claims::full(Instant now) const {
    return full_until(now) > now;
}

Instant Claims::full_until(Instant now) const {
    Instant until{};
    for (size_t i = 0; i < count_; ++i) {
        // Who has the last one of a quota waits for the other totals with it. Who gave it back for
        // the quota is used up, and took it again for it is not, did so for ever.
        if ((has_ & bit(i)) != 0) continue;
        const auto limit = shares_[i]->holds_messages(now);
        if (limit && *limit != TotalLimit::rate)
            until = std::max(until, shares_[i]->held_until(*limit, now));
    }
    return until;
}

std::optional<Binding> Claims::holds_messages(Instant now) const {
    for (Share* share : shares())
        if (const auto limit = share->holds_messages(now)) return binding_of(*share, *limit, now);
    return std::nullopt;
}

std::optional<Binding> Claims::holds_connections(const Guest& guest, Instant now) const {
    for (Share* share : shares())
        if (const auto limit = share->holds_connections(guest, now))
            return binding_of(*share, *limit, now);
    return std::nullopt;
}

}  // namespace engine

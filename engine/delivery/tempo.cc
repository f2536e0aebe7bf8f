#include "engine/delivery/tempo.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace engine {

namespace {

// Chosen by simulation (tests/engine/delivery/tempo_test.cc): a receiver with a hard limit gets
// more than 95% of it and refuses about one in a hundred.
constexpr double part_left = 0.9;       // of the rate, behind a complaint
constexpr double good_part = 0.97;      // of a rate that met one: it was fine until there
constexpr double far_above = 1.25;      // times what is taken: the rate was not what held us back
constexpr double used_searching = 0.4;  // the same while the rate doubles each second
constexpr double used_part = 0.7;       // of the rate must be taken before it grows
constexpr double rate_first = 1;        // when the very first mail meets a complaint
constexpr auto burst_after = std::chrono::seconds(60);
constexpr double return_seconds = 2;      // time constant of the way back to what was good
constexpr double gain_first = 0.005;      // a second, beyond what was good
constexpr double gain_max = 0.05;         // reached in steps of
constexpr double gain_double_after = 10;  // seconds without a complaint

double seconds_between(Instant from, Instant to) {
    return std::chrono::duration<double>(to - from).count();
}

}  // namespace

Tempo::Tempo(const Learned& from, Instant now) : cut_at_(now), grown_at_(now) {
    if (from.rate > 0) {
        rate_ = std::max(from.rate, rate_min);
        good_ = std::max(from.good, rate_);
    }
    if (from.connections > 0) {
        connections_ = from.connections;
        probe_at_ = now;  // a long time may lie between: one more is tried at once
    }
}

void Tempo::Meter::turn_to(int64_t index) {
    if (first_ < 0) first_ = last_ = index;
    if (index - last_ >= slots) counts_.fill(0);
    for (int64_t i = std::max(last_ + 1, index - slots + 1); i <= index; ++i)
        counts_[i % slots] = 0;
    last_ = std::max(last_, index);
}

void Tempo::Meter::add(Instant now, uint32_t messages) {
    const int64_t index = now.time_since_epoch() / slot;
    turn_to(index);
    uint16_t& count = counts_[index % slots];
    count = static_cast<uint16_t>(std::min<uint32_t>(count + messages, UINT16_MAX));
}

double Tempo::Meter::per_second(Instant now, int64_t over) const {
    if (first_ < 0) return 0;
    const int64_t index = now.time_since_epoch() / slot;
    uint64_t sum = 0;
    for (int64_t i = std::max({index - over + 1, last_ - slots + 1, first_}); i <= last_; ++i)
        sum += counts_[i % slots];
    const int64_t covered = std::clamp(index - first_ + 1, second, over);
    return static_cast<double>(sum) * second / static_cast<double>(covered);
}

void Tempo::taken(Instant now, uint32_t messages) {
    meter_.add(now, messages);
    if (rate_ == unlimited) return;
    if (now >= hold_until_) {
        taken_since_cut_ = true;
        hold_ = {};
    }
    grow(now);
}

void Tempo::grow(Instant now) {
    const Instant since = std::exchange(grown_at_, now);
    if (now - cut_at_ > forget_after) {
        rate_ = unlimited;
        return;
    }
    const double step = std::clamp(seconds_between(since, now), 0.0, 1.0);
    if (now < grows_from_) return;
    if (searching_) {
        if (meter_.per_second(now, Meter::second) > used_searching * rate_)
            rate_ *= std::exp2(step);
        return;
    }
    if (meter_.per_second(now) < used_part * rate_) return;  // something else holds us back
    if (rate_ < good_) {
        // Towards a little beyond it, or it would never arrive.
        rate_ += (good_ * 1.02 - rate_) * (1 - std::exp(-step / return_seconds));
        return;
    }
    const double quiet = std::min(seconds_between(cut_at_, now), 600.0);
    const double gain = std::min(gain_first * std::exp2(quiet / gain_double_after), gain_max);
    rate_ += rate_ * gain * step;
}

bool Tempo::refused(Instant began, Instant now) {
    if (began < cut_at_ || now < hold_until_) return false;
    // What grows fast is measured over a short time, or it would look slower than it is.
    const double taken = meter_.per_second(now, searching_ ? Meter::second : Meter::slots);
    if (!taken_since_cut_) {  // slower did not help: much slower, and a pause
        rate_ = std::max(rate_ / 2, rate_min);
        hold_ = std::clamp(hold_ * 2, hold_first, hold_max);
        searching_ = false;
    } else if (rate_ > taken * far_above) {
        // A first burst, or one after a pause, meets the bottom of a bucket and not the rate that
        // fills it.
        searching_ = rate_ == unlimited || now - cut_at_ > burst_after;
        rate_ = good_ = std::max(taken * part_left, rate_first);
        hold_ = hold_first;
    } else {
        good_ = std::max(rate_ * good_part, rate_min);
        rate_ = std::max(rate_ * part_left, rate_min);
        hold_ = {};
        searching_ = false;
    }
    taken_since_cut_ = false;
    cut_at_ = grown_at_ = now;
    hold_until_ = now + hold_;
    return true;
}

void Tempo::slow(Instant now, Instant until) {
    const double taken = std::max(meter_.per_second(now), rate_min);
    rate_ = std::max(std::min(rate_, taken) / 2, rate_min);
    good_ = rate_;
    searching_ = false;
    cut_at_ = grown_at_ = now;
    grows_from_ = until;
}

size_t Tempo::connections(Instant now) const {
    return connections_ != SIZE_MAX && now >= probe_at_ ? connections_ + 1 : connections_;
}

void Tempo::connected(size_t open, Instant now) {
    if (connections_ == SIZE_MAX) return;
    if (open >= connections_) refused_once_ = false;
    if (open <= connections_) return;
    connections_ = open;  // there is more
    probe_every_ = probe_first;
    probe_at_ = now + probe_every_;
}

bool Tempo::connection_refused(size_t open, Instant now) {
    if (connections_ != SIZE_MAX && open >= connections_) {  // the one that was tried
        probe_every_ = std::min(probe_every_ * 2, probe_max);
        probe_at_ = now + probe_every_;
        return true;
    }
    if (open + 1 >= connections_ && connections_ != SIZE_MAX && !refused_once_) {
        refused_once_ = true;
        return false;
    }
    refused_once_ = false;
    connections_ = std::max<size_t>(open, 1);
    probe_at_ = now + probe_every_;
    return true;
}

Tempo::Learned Tempo::learned() const {
    Learned learned;
    if (rate_ != unlimited) {
        learned.rate = rate_;
        learned.good = good_;
    }
    if (connections_ != SIZE_MAX) learned.connections = static_cast<uint32_t>(connections_);
    return learned;
}

}  // namespace engine

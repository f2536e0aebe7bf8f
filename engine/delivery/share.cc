#include "engine/delivery/share.h"

#include <algorithm>
#include <utility>

#include "metrics/check.h"

namespace engine {

Share::Share(TotalKey key, TotalLimits limits, std::move_only_function<void(Share*)> news)
    : key_(std::move(key)), limits_(std::move(limits)), news_(std::move(news)) {}

void Share::use(const TotalLimits& limits) {
    const bool first = limits_.connections == 0 && limits.connections > 0;
    limits_ = limits;
    if (!first || standing_ <= units_.used()) return;
    units_.find(static_cast<uint32_t>(standing_) - units_.used());
    note_news();
}

void Share::start(const TotalLimits& limits) {
    limits_ = limits;
    units_ = {};
    messages_ = {};
    connections_ = {};
}

void Share::adopt(uint32_t connections) {
    if (limits_.connections == 0) return;
    units_.adopt(connections);
    note_news();
}

void Share::let_go() {
    units_.award({.target = 0});
    note_news();
}

void Share::note_news() {
    if (!std::exchange(told_news_, true)) news_(this);
}

/// It takes one in its turn; else only what nobody in front of it waits for.
bool Share::has_unit_for(const Guest& guest) const {
    if (limits_.connections == 0) return true;
    if (!units_.free()) return false;
    const bool newcomer = guest.connections() == 0;
    return turn_ == &guest || (newcomers_.empty() && (newcomer || others_.empty()));
}

bool Share::may_connect(const Guest& guest, Instant now) {
    if (!has_unit_for(guest)) return false;
    if (limits_.connection_rate_per_second <= 0) return true;
    ++connections_asked_;
    if (connections_.would_ask(1, now)) note_news();
    return connections_.next(now) <= now;
}

void Share::connect(Instant now) {
    turn_ = nullptr;
    ++standing_;
    if (limits_.connection_rate_per_second > 0) connections_.take(now);
    if (limits_.connections > 0) units_.take();
}

void Share::disconnected() {
    CHECK(standing_ > 0, "a connection has ended twice");
    --standing_;
    if (promised_ > 0) --promised_;
    if (units_.used() <= standing_) return;
    units_.release();
    note_news();
    serve();
}

void Share::wait(Guest& guest, Instant now) {
    if (has_unit_for(guest)) {
        // Of one whose time is known the guest knows it, too.
        if (connections_.next(now) == Instant::max() && is_slow_.insert(&guest).second)
            slow_.push_back(&guest);
        return;
    }
    if (waits(guest)) return;
    const bool newcomer = guest.connections() == 0;
    std::list<Guest*>& line = line_of(newcomer);
    waiting_.emplace(&guest, Waiting{newcomer, line.insert(line.end(), &guest)});
    note_news();
    if (units_.scarce()) wake_idle(1);
}

void Share::leave(Guest& guest) {
    const auto found = waiting_.find(&guest);
    if (found != waiting_.end()) {
        line_of(found->second.newcomer).erase(found->second.place);
        waiting_.erase(found);
    }
    if (is_slow_.erase(&guest) > 0) slow_.remove(&guest);
    if (const auto idle = idle_of_.find(&guest); idle != idle_of_.end()) {
        idle_.erase(idle->second.place);
        idle_of_.erase(idle);
    }
    if (turn_ == &guest) turn_ = nullptr;
}

Instant Share::next_connection(Instant now) {
    return limits_.connection_rate_per_second > 0 ? connections_.next(now) : Instant{};
}

bool Share::gives_way(const Guest& guest, Between between) {
    size_t wanted = units_.surplus();
    if (units_.scarce() && !units_.free()) {
        const bool own = waits(guest);
        wanted += between == Between::mails ? newcomers_.size() : waiting_.size() - (own ? 1 : 0);
    }
    if (wanted <= promised_) return false;
    ++promised_;
    return true;
}

bool Share::add_idle(Guest& guest) {
    if (limits_.connections == 0) return false;
    const auto [idle, is_new] = idle_of_.try_emplace(&guest);
    if (is_new) idle->second.place = idle_.insert(idle_.end(), &guest);
    ++idle->second.connections;
    return true;
}

void Share::remove_idle(Guest& guest) {
    const auto idle = idle_of_.find(&guest);
    if (idle == idle_of_.end() || --idle->second.connections > 0) return;
    idle_.erase(idle->second.place);
    idle_of_.erase(idle);
}

void Share::wake_idle(size_t count) {
    for (Guest* guest : idle_) {
        if (count == 0) return;
        guest->look_at_idle();
        count -= std::min(count, idle_of_.at(guest).connections);
    }
}

/// Those who wait take one each, as long as there is one. Who has more work waits again, behind the
/// others.
void Share::serve() {
    if (std::exchange(serving_, true)) return;
    for (size_t turns = waiting_.size(); turns > 0 && !waiting_.empty() && units_.free(); --turns) {
        std::list<Guest*>& line = newcomers_.empty() ? others_ : newcomers_;
        Guest* guest = line.front();
        line.pop_front();
        waiting_.erase(guest);
        turn_ = guest;
        guest->room();
        turn_ = nullptr;
    }
    serving_ = false;
}

void Share::serve_slow() {
    is_slow_.clear();
    for (Guest* guest : std::exchange(slow_, {})) guest->room();
}

bool Share::may_begin(Instant now, size_t wanted) {
    if (!limits_.limits_messages()) return true;
    ask_messages(wanted, now);
    return line_.empty() && messages_.next(now) <= now;
}

bool Share::take_message(Instant now, size_t wanted) {
    if (!limits_.limits_messages()) return true;
    ask_messages(wanted, now);
    return line_.empty() && messages_.take(now);
}

void Share::give_back_message(Instant now) {
    if (!limits_.limits_messages()) return;
    messages_.give_back(now);
    if (!line_.empty()) line_.front()->notify_all();
}

void Share::ask_messages(size_t wanted, Instant now) {
    messages_wanted_ = std::max(messages_wanted_, wanted);
    if (messages_.would_ask(static_cast<uint32_t>(std::min<size_t>(wanted, UINT32_MAX)), now))
        note_news();
}

std::optional<TotalLimit> Share::holds_messages(Instant now) const {
    if (!limits_.limits_messages()) return std::nullopt;
    if (const auto full = messages_.full(now)) return full;
    if (line_.empty() || limits_.rate_per_second <= 0) return std::nullopt;
    return TotalLimit::rate;
}

std::optional<TotalLimit> Share::holds_connections(const Guest& guest, Instant now) {
    if (waits(guest) && !units_.free()) return TotalLimit::connections;
    if (limits_.connection_rate_per_second > 0 && connections_.next(now) > now)
        return TotalLimit::connection_rate;
    return std::nullopt;
}

Instant Share::held_until(TotalLimit limit, Instant now) {
    switch (limit) {
        case TotalLimit::connections:
            return Instant::max();
        case TotalLimit::connection_rate:
            return connections_.next(now);
        case TotalLimit::rate:
            return messages_.next(now);
        case TotalLimit::per_hour:
        case TotalLimit::per_day:
            return messages_.full_until();
    }
    return Instant::max();
}

/// Of all who wait, together. More than there are at all is as good as that.
uint32_t Share::units_wanted() const {
    size_t wanted = 0;
    for (const auto& [guest, waiting] : waiting_) {
        wanted += guest->connections_lacking();
        if (wanted >= limits_.connections) return limits_.connections;
    }
    return static_cast<uint32_t>(wanted);
}

ShareTold Share::tell(Instant now) {
    told_news_ = false;
    ShareTold told;
    if (limits_.connections > 0 || units_.held() > 0) told.units = units_.tell(units_wanted());
    const auto slots = [&](SlotShare& of, size_t& wanted) {
        const auto most = static_cast<uint32_t>(std::min<size_t>(wanted, SlotKeeper::at_once_max));
        wanted = 0;
        return of.ask(most, now);
    };
    if (limits_.limits_messages()) told.messages = slots(messages_, messages_wanted_);
    if (limits_.connection_rate_per_second > 0)
        told.connections = slots(connections_, connections_asked_);
    return told;
}

ShareTold Share::tell_all(Instant now) {
    // Who waits for nothing any more is no reason to close others' connections.
    for (auto next = waiting_.begin(); next != waiting_.end();) {
        const auto at = next++;
        if (at->first->connections_lacking() > 0) continue;
        line_of(at->second.newcomer).erase(at->second.place);
        waiting_.erase(at);
    }
    ShareTold told = tell(now);
    if (units_.held() + units_wanted() > 0 && !told.units)
        told.units = units_.tell_all(units_wanted());
    if (limits_.limits_messages() && !told.messages) told.messages = messages_.ask_nothing(now);
    // An ask that came to nothing, because a quota was used up or the disk was to be told first.
    if (!line_.empty()) ask_messages(line_.size(), now);
    serve();
    return told;
}

void Share::given(const ShareGiven& given, Instant now) {
    if (given.messages) {
        messages_.granted(*given.messages, now);
        if (!line_.empty()) line_.front()->notify_all();
    }
    if (given.connections) connections_.granted(*given.connections, now);
    if (given.units) {
        units_.award(*given.units);
        note_news();  // what is to go back goes
        wake_idle(units_.surplus() + (units_.scarce() ? waiting_.size() : 0));
    }
    if (given.units) serve();
    if (given.connections) serve_slow();
}

MessagePlace::MessagePlace(Share& share, Signal& turn)
    : share_(share), place_(share.line_.insert(share.line_.end(), &turn)) {}

MessagePlace::~MessagePlace() {
    share_.line_.erase(place_);
    if (!share_.line_.empty()) share_.line_.front()->notify_all();
}

bool MessagePlace::take(Instant now, size_t wanted) {
    if (!share_.limits_.limits_messages()) return true;
    share_.ask_messages(wanted + share_.line_.size(), now);
    return place_ == share_.line_.begin() && share_.messages_.take(now);
}

Instant MessagePlace::next(Instant now) {
    return place_ == share_.line_.begin() ? share_.messages_.next(now) : Instant::max();
}

}  // namespace engine

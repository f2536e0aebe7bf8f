#include "ingest/live_desk.h"

#include <utility>

#include "engine/reactor/call.h"

namespace ingest {

using engine::Instant;
using engine::Task;

bool LiveDesk::sit_down() {
    if (viewers_ >= viewers_max || stopping_) return false;
    ++viewers_;
    if (!std::exchange(looking_, true)) scope_.spawn(look());
    return true;
}

Task<> LiveDesk::look() {
    Instant due = reactor_.now();
    while (viewers_ > 0 && !stopping_) {
        auto reading = std::make_shared<LiveReading>();
        co_await worker_.run([&] { *reading = read_live(registries_, store_); });
        reading->time = reactor_.wall();
        reading->number = ++last_number_;
        readings_.push_back(std::move(reading));
        while (readings_.size() > live_seconds_kept + 1) readings_.pop_front();
        fresh_.notify_all();
        // A worker that was busy delays one reading, not all behind it.
        due = std::max<Instant>(due + every, reactor_.now() + every / 2);
        co_await stopped_.wait_until(due);
    }
    readings_.clear();
    looking_ = false;
}

Task<std::string> LiveDesk::history() const {
    co_return co_await engine::call(past_->here, past_->there,
                                    [past = &past_->history] { return past->json(); });
}

Task<> LiveDesk::next(uint64_t seen, Instant deadline) {
    while (number() <= seen && !stopping_ && reactor_.now() < deadline)
        co_await fresh_.wait_until(deadline);
}

Task<> LiveDesk::stop() {
    stopping_ = true;
    stopped_.notify_all();
    fresh_.notify_all();
    co_await scope_.join();
}

}  // namespace ingest

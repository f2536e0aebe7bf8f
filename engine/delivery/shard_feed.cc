#include "engine/delivery/shard_feed.h"

namespace engine {

void ShardFeed::note(uint64_t upto) {
    uint64_t seen = last_.load(std::memory_order_relaxed);
    while (seen < upto && !last_.compare_exchange_weak(seen, upto, std::memory_order_relaxed)) {
    }
}

void ShardFeed::advance(uint64_t upto) {
    note(upto);
    more_.notify_all();
}

Task<> ShardFeed::wait_beyond(uint64_t seq, Instant deadline) {
    // A commit on another shard may fall between the check and the count: then its post does not
    // come, and the next look is not later than this.
    constexpr auto look_again = std::chrono::seconds(1);
    waiters_.fetch_add(1);
    while (last() <= seq && reactor_.now() < deadline)
        co_await more_.wait_until(std::min(deadline, reactor_.now() + look_again));
    waiters_.fetch_sub(1);
}

}  // namespace engine

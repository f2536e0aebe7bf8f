// A bounded map whose entries have a time to live. At its limit the oldest entry goes first: with a
// DNS cache that is as good as least recently used, because TTLs end long before the limit is
// reached.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include "engine/reactor/timer_wheel.h"
#include "metrics/check.h"

namespace engine {

template <class Value>
class TtlCache {
  public:
    explicit TtlCache(size_t entries_max) : entries_max_(entries_max) {
        CHECK(entries_max > 0, "a cache without room");
    }

    /// The value, unless its time has come. Valid until the next put().
    const Value* find(const std::string& key, Instant now) const {
        const auto found = entries_.find(key);
        return found != entries_.end() && now < found->second.expires ? &found->second.value
                                                                      : nullptr;
    }
    void put(const std::string& key, Value value, Instant expires) {
        const uint64_t age = ++last_age_;
        entries_.insert_or_assign(key, Entry{std::move(value), expires, age});
        by_age_.emplace_back(age, key);
        // A key that was put again has left its older place in by_age_ behind; those places are
        // skipped, and swept when they outnumber the entries, so the deque is bounded, too.
        while (entries_.size() > entries_max_ || by_age_.size() > 2 * entries_max_) {
            const auto oldest = entries_.find(by_age_.front().second);
            if (oldest != entries_.end() && oldest->second.age == by_age_.front().first) {
                entries_.erase(oldest);
            }
            by_age_.pop_front();
        }
    }
    size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        Value value;
        Instant expires;
        uint64_t age;
    };
    size_t entries_max_;
    uint64_t last_age_ = 0;
    std::unordered_map<std::string, Entry> entries_;
    std::deque<std::pair<uint64_t, std::string>> by_age_;  // oldest first
};

}  // namespace engine

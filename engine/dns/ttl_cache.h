// A bounded map whose entries have a time to live. At its limit the oldest entry goes first: with a
// DNS cache that is as good as least recently used, because TTLs end long before the limit is
// reached.
#pragma once

#include <list>
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
        if (const auto found = entries_.find(key); found != entries_.end()) {
            Entry& known = found->second;
            known.value = std::move(value);
            known.expires = expires;
            by_age_.splice(by_age_.end(), by_age_, known.place);
            return;
        }
        if (entries_.size() == entries_max_) {
            entries_.erase(entries_.find(*by_age_.front()));
            by_age_.pop_front();
        }
        const auto made = entries_.emplace(key, Entry{std::move(value), expires, {}}).first;
        made->second.place = by_age_.insert(by_age_.end(), &made->first);
    }
    size_t size() const { return entries_.size(); }

  private:
    using Keys = std::list<const std::string*>;  // those of entries_
    struct Entry {
        Value value;
        Instant expires;
        Keys::iterator place;
    };
    size_t entries_max_;
    std::unordered_map<std::string, Entry> entries_;
    Keys by_age_;  // oldest first
};

}  // namespace engine

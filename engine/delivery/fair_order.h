// FairOrder: takes turns between members by weight. Who has been served least for its weight is
// next; a member that was away does not claim what it has missed, and one that comes back at once
// does not lose what it owes. These are the shares of deficit round robin without its bursts: ten
// turns of a heavy member lie between those of the others, not in a row.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace engine {

/// `Member` has empty(): whether it has nothing to give now. Members that have nothing and owe
/// nothing are forgotten.
template <class Member>
class FairOrder {
  public:
    struct Entry {
        std::string name;
        double weight = 1;
        double served = 0;   // turns, each divided by the weight
        uint64_t order = 0;  // of arrival: who waits longer goes first
        Member member;
    };

    /// The member of this name, a new one without debts if there was none. It has this weight from
    /// now on.
    Entry& of(std::string_view name, double weight) {
        if (const auto found = by_name_.find(name); found != by_name_.end()) {
            Entry& known = found->second;
            known.weight = weight;  // a reload may have changed it
            if (known.member.empty() && known.served < now_) move(known, now_);
            return known;
        }
        Entry& entry = by_name_.try_emplace(std::string(name)).first->second;
        entry.name = name;
        entry.weight = weight;
        entry.served = now_;
        entry.order = ++arrivals_;
        order_.insert(&entry);
        return entry;
    }
    Entry* find(std::string_view name) {
        const auto found = by_name_.find(name);
        return found == by_name_.end() ? nullptr : &found->second;
    }
    /// Whose turn it is among those with something to give and for whom `may` holds; null:
    /// nobody's.
    template <class May>
    Entry* first(May may) {
        for (auto at = order_.begin(); at != order_.end();) {
            Entry& entry = **at;
            if (!entry.member.empty()) {
                if (may(entry)) return &entry;
                ++at;
            } else if (entry.served <= now_) {
                at = order_.erase(at);
                by_name_.erase(by_name_.find(entry.name));
            } else {
                ++at;
            }
        }
        return nullptr;
    }
    /// It had a turn, and gave one. Time moves on to where the turn began, so that what newcomers
    /// begin with stays close to the others. Who may not have had turns for a while (May) does not
    /// get them all at once now.
    void charge(Entry& entry) {
        now_ = std::max(now_, entry.served);
        move(entry, now_ + 1 / entry.weight);
    }
    /// It gave one more within the same turn.
    void charge_more(Entry& entry) { move(entry, entry.served + 1 / entry.weight); }

  private:
    struct Earlier {
        bool operator()(const Entry* a, const Entry* b) const {
            return a->served != b->served ? a->served < b->served : a->order < b->order;
        }
    };
    void move(Entry& entry, double served) {
        order_.erase(&entry);
        entry.served = served;
        entry.order = ++arrivals_;
        order_.insert(&entry);
    }

    std::map<std::string, Entry, std::less<>> by_name_;
    std::set<Entry*, Earlier> order_;
    double now_ = 0;
    uint64_t arrivals_ = 0;
};

}  // namespace engine

#include "tests/sim/suppressions.h"

#include <algorithm>
#include <array>

#include "storage/types.h"

namespace sim {

size_t SuppressionBook::call(ListChange change) {
    const bool adds = change.kind == ListChange::Kind::add;
    world_.trace("list {}: {} {}, {} in all", change.list, adds ? "add" : "remove",
                 change.addresses.front(), change.addresses.size());
    for (const std::string& address : change.addresses) {
        Entry& entry = entries_[{change.list, address}];
        if (adds) {
            ++entry.adding;
            entry.maybe = true;
            entry.add_called = world_.now();
        } else {
            ++entry.removing;
            entry.since.reset();
            entry.removal_called = world_.now();
        }
    }
    calls_.push_back({std::move(change), world_.now(), false});
    return calls_.size() - 1;
}

void SuppressionBook::answered(size_t number, bool good) {
    Call& call = calls_[number];
    call.answered = true;
    const bool adds = call.change.kind == ListChange::Kind::add;
    for (const std::string& address : call.change.addresses) {
        Entry& entry = entries_[{call.change.list, address}];
        --(adds ? entry.adding : entry.removing);
        if (!good) continue;
        if (adds) {
            // A removal that was called meanwhile may have come behind it.
            const bool alone = entry.removing == 0 && entry.removal_called < call.at;
            if (alone && !entry.since) entry.since = world_.now();
        } else if (entry.adding == 0 && entry.add_called < call.at) {
            entry.maybe = false;
            entry.maybe_until = world_.now();
        }
    }
}

void SuppressionBook::stopped() {
    for (Call& call : calls_) {
        if (std::exchange(call.answered, true)) continue;
        for (const std::string& address : call.change.addresses) {
            Entry& entry = entries_[{call.change.list, address}];
            --(call.change.kind == ListChange::Kind::add ? entry.adding : entry.removing);
        }
    }
}

void SuppressionBook::bounced(const std::string& list, const std::string& address) {
    Entry& entry = entries_[{list, address}];
    entry.maybe = true;
    if (entry.removing == 0 && !entry.since) entry.since = world_.now();
    entry.add_called = world_.now();
}

const SuppressionBook::Entry* SuppressionBook::find(const std::string& list,
                                                    const std::string& address) const {
    const auto found = entries_.find({list, address});
    return found == entries_.end() ? nullptr : &found->second;
}

std::optional<Instant> SuppressionBook::listed_since(const std::string& tenant,
                                                     const std::string& address) const {
    std::optional<Instant> since;
    for (const std::string& list : {tenant, std::string(storage::every_tenant)}) {
        const Entry* entry = find(list, address);
        if (entry && entry->since) since = std::min(since.value_or(*entry->since), *entry->since);
    }
    return since;
}

bool SuppressionBook::may_be_listed(const std::string& tenant, const std::string& address,
                                    Instant from) const {
    for (const std::string& list : {tenant, std::string(storage::every_tenant)}) {
        const Entry* entry = find(list, address);
        if (entry && (entry->maybe || entry->maybe_until >= from)) return true;
    }
    return false;
}

bool SuppressionBook::may_be_on(const std::string& list, const std::string& address) const {
    const Entry* entry = find(list, address);
    return entry && entry->maybe;
}

bool SuppressionBook::removal_goes_on(const std::string& list, const std::string& address) const {
    const Entry* entry = find(list, address);
    return entry && entry->removing > 0;
}

}  // namespace sim

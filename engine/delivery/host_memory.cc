#include "engine/delivery/host_memory.h"

namespace engine {

HostMemory::Entry& HostMemory::entry(const std::string& key) {
    auto found = hosts_.find(key);
    if (found != hosts_.end()) {
        order_.splice(order_.begin(), order_, found->second.place);
        return found->second;
    }
    if (hosts_.size() >= hosts_max) {
        hosts_.erase(hosts_.find(*order_.back()));
        order_.pop_back();
    }
    const auto made = hosts_.emplace(key, Entry{}).first;
    order_.push_front(&made->first);
    made->second.place = order_.begin();
    return made->second;
}

std::shared_ptr<HostTraits> HostMemory::of(const std::string& host, uint16_t port) {
    const Instant now = clock_.now();
    Entry& found = entry(host + ':' + std::to_string(port));
    if (!found.traits || now >= found.traits->until) {
        found.traits = std::make_shared<HostTraits>();
        found.traits->until = now + HostTraits::kept_for;
        found.told = *found.traits;
    }
    return found.traits;
}

std::vector<HostMemory::Learned> HostMemory::changes() {
    std::vector<Learned> learned;
    for (auto& [host, entry] : hosts_) {
        if (*entry.traits == entry.told) continue;
        entry.told = *entry.traits;
        learned.push_back({host, entry.told});
    }
    return learned;
}

void HostMemory::recall(const Learned& learned) {
    if (hosts_.size() >= hosts_max || hosts_.contains(learned.host)) return;
    Entry& recalled = entry(learned.host);
    recalled.told = learned.traits;
    recalled.traits = std::make_shared<HostTraits>(learned.traits);
}

}  // namespace engine

#include "engine/delivery/host_memory.h"

namespace engine {

std::shared_ptr<HostTraits> HostMemory::of(const std::string& host, uint16_t port) {
    std::string key = host + ':' + std::to_string(port);
    const Instant now = clock_.now();
    auto found = hosts_.find(key);
    if (found == hosts_.end()) {
        if (hosts_.size() >= hosts_max) {
            hosts_.erase(order_.back());
            order_.pop_back();
        }
        order_.push_front(key);
        found = hosts_.emplace(std::move(key), Entry{nullptr, order_.begin()}).first;
    } else {
        order_.splice(order_.begin(), order_, found->second.place);
    }
    std::shared_ptr<HostTraits>& traits = found->second.traits;
    if (!traits || now >= traits->until) {
        traits = std::make_shared<HostTraits>();
        traits->until = now + HostTraits::kept_for;
    }
    return traits;
}

}  // namespace engine

#include "engine/delivery/gate.h"

namespace engine {

void Gate::observe(const Settings& settings, uint64_t free_bytes, uint64_t data_bytes,
                   bool healthy) {
    uint8_t why = open;
    if (data_bytes > settings.queue_bytes_max) why = static_cast<uint8_t>(Refusal::Why::queue_full);
    if (free_bytes < settings.free_disk_min) why = static_cast<uint8_t>(Refusal::Why::disk_low);
    if (!healthy) why = static_cast<uint8_t>(Refusal::Why::storage_failed);
    why_.store(why, std::memory_order_relaxed);
}

std::optional<Refusal> Gate::refusal() const {
    if (draining()) return refusal_for(Refusal::Why::draining);
    const uint8_t why = why_.load(std::memory_order_relaxed);
    if (why == open) return std::nullopt;
    return refusal_for(static_cast<Refusal::Why>(why));
}

Refusal refusal_for(Refusal::Why why) {
    switch (why) {
        case Refusal::Why::disk_low:
            return {why, "queue.free_disk_min",
                    "the disk of data_dir has less free space than free_disk_min",
                    std::chrono::seconds(30)};
        case Refusal::Why::queue_full:
            return {why, "queue.bytes_max",
                    "the queue holds more bytes than bytes_max; mail is still delivered",
                    std::chrono::seconds(30)};
        case Refusal::Why::storage_failed:
            return {why, "storage", "the store cannot write; what was accepted is kept",
                    std::chrono::seconds(60)};
        case Refusal::Why::draining:
            return {why, "drain", "the daemon is stopping", std::chrono::seconds(10)};
    }
    return {why, "storage", "mail cannot be taken now", std::chrono::seconds(60)};
}

Refusal refusal_for(const storage::Error& error) {
    return refusal_for(error.code == storage::Errc::no_space ? Refusal::Why::disk_low
                                                             : Refusal::Why::storage_failed);
}

}  // namespace engine

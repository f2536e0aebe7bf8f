#include "engine/policy/sts_kept.h"

#include <algorithm>
#include <chrono>

#include "storage/codec.h"

namespace engine {

namespace {

constexpr uint8_t version = 1;
// Refreshed while it still has half of its life, and once a day: a policy host that is down, or
// held down, for days must not end the protection (RFC 8461 10.2).
constexpr std::chrono::seconds refresh_after_most = std::chrono::hours(24);

}  // namespace

bool wants_fetch(const std::optional<std::string>& id, const StsKept* kept, const StsMiss* miss,
                 storage::WallTime now) {
    if (!id) return false;
    if (miss && miss->id == *id && now < miss->until) return false;
    if (!kept || !kept->live(now) || kept->id != *id) return true;
    return now - kept->fetched >= std::min(kept->policy.max_age / 2, refresh_after_most);
}

std::string encode(const StsKept& kept) {
    std::string lines;
    for (const std::string& line : lines_of(kept.policy)) lines += line + "\n";
    storage::Writer writer;
    writer.byte(version);
    writer.time(kept.fetched);
    writer.string(kept.id);
    writer.string(lines);
    return writer.take();
}

std::optional<StsKept> decode_sts(std::string_view bytes) {
    storage::Reader reader(bytes);
    if (reader.byte() != version) return std::nullopt;
    StsKept kept{.fetched = reader.time()};
    kept.id = reader.string();
    const std::string_view lines = reader.string();
    if (!reader.finished()) return std::nullopt;
    auto policy = parse_sts_policy(lines);
    if (!policy) return std::nullopt;
    kept.policy = std::move(*policy);
    return kept;
}

}  // namespace engine

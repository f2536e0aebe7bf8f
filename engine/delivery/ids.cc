#include "engine/delivery/ids.h"

#include <array>
#include <charconv>

#include "engine/delivery/intake.h"
#include "metrics/check.h"

namespace engine {

namespace {

constexpr storage::WallTime epoch{std::chrono::sys_days{std::chrono::year{2020} / 1 / 1}};
constexpr unsigned low_bits = IdMaker::shard_bits + IdMaker::counter_bits;

constexpr std::string_view alphabet =
    "0123456789ABCDEFGHJKMNPQRSTVWXYZ";  // Crockford: no I, L, O, U
constexpr size_t text_length = 13;

constexpr int digit_of(char c) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    const size_t at = alphabet.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

IdMaker::IdMaker(ShardId shard, storage::JobId floor) : shard_(shard) {
    CHECK(shard < (1u << shard_bits), "more shards than an id has room for");
    // The next millisecond after the floor's is free on every shard.
    milliseconds_ = static_cast<uint64_t>(floor) >> low_bits;
    counter_ = (1u << counter_bits) - 1;
}

storage::JobId IdMaker::next(storage::WallTime now) {
    const auto since = std::max<int64_t>((now - epoch).count(), 0);
    if (static_cast<uint64_t>(since) > milliseconds_) {
        milliseconds_ = static_cast<uint64_t>(since);
        counter_ = 0;
    } else if (++counter_ >> counter_bits) {
        ++milliseconds_;  // the counter is full, or the clock stands behind the floor: run ahead of
                          // it
        counter_ = 0;
    }
    return storage::JobId{(milliseconds_ << low_bits) | (shard_ << counter_bits) | counter_};
}

storage::WallTime time_of(storage::JobId id) {
    return epoch + std::chrono::milliseconds(static_cast<uint64_t>(id) >> low_bits);
}

std::string to_text(storage::JobId id) {
    std::string text(text_length, '0');
    auto value = static_cast<uint64_t>(id);
    for (size_t i = text_length; i-- > 0; value >>= 5) text[i] = alphabet[value & 31];
    return text;
}

std::string to_text(storage::DeliveryId id) {
    return to_text(id.job) + "-" + std::to_string(id.index);
}

std::optional<storage::JobId> parse_job_id(std::string_view text) {
    if (text.size() != text_length) return std::nullopt;
    uint64_t value = 0;
    for (const char c : text) {
        const int digit = digit_of(c);
        if (digit < 0 || value >> 59) return std::nullopt;
        value = (value << 5) | static_cast<uint64_t>(digit);
    }
    return storage::JobId{value};
}

std::optional<storage::DeliveryId> parse_delivery_id(std::string_view text) {
    const size_t dash = text.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto job = parse_job_id(text.substr(0, dash));
    const std::string_view rest = text.substr(dash + 1);
    uint32_t index = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
    if (!job || rest.empty() || error != std::errc{} || end != rest.data() + rest.size())
        return std::nullopt;
    return storage::DeliveryId{*job, index};
}

}  // namespace engine

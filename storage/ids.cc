#include "storage/ids.h"

#include <charconv>

namespace storage {

namespace {

constexpr std::string_view alphabet =
    "0123456789ABCDEFGHJKMNPQRSTVWXYZ";  // Crockford: no I, L, O, U
constexpr size_t text_length = 13;

constexpr int digit_of(char c) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    const size_t at = alphabet.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

std::string to_text(JobId id) {
    std::string text(text_length, '0');
    auto value = static_cast<uint64_t>(id);
    for (size_t i = text_length; i-- > 0; value >>= 5) text[i] = alphabet[value & 31];
    return text;
}

std::string to_text(DeliveryId id) {
    return to_text(id.job) + "-" + std::to_string(id.index);
}

std::optional<JobId> parse_job_id(std::string_view text) {
    if (text.size() != text_length) return std::nullopt;
    uint64_t value = 0;
    for (const char c : text) {
        const int digit = digit_of(c);
        if (digit < 0 || value >> 59) return std::nullopt;
        value = (value << 5) | static_cast<uint64_t>(digit);
    }
    return JobId{value};
}

std::optional<DeliveryId> parse_delivery_id(std::string_view text) {
    const size_t dash = text.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto job = parse_job_id(text.substr(0, dash));
    const std::string_view rest = text.substr(dash + 1);
    uint32_t index = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
    if (!job || rest.empty() || error != std::errc{} || end != rest.data() + rest.size())
        return std::nullopt;
    return DeliveryId{*job, index};
}

}  // namespace storage

#include "bench/sink/script.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

namespace sink {
namespace {

uint64_t mixed(uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

uint64_t hash_of(Stage stage, std::string_view key) {
    uint64_t hash = 0xcbf29ce484222325;
    for (unsigned char c : key) hash = (hash ^ c) * 0x100000001b3;
    return mixed(hash + uint64_t(stage));
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

bench::Parsed<Reply> parse_reply(std::string_view text) {
    if (text == "drop") return Reply{};
    bool digits = text.size() >= 4 && text[3] == ' ' && (text[0] == '4' || text[0] == '5') &&
                  text[1] >= '0' && text[1] <= '5' && text[2] >= '0' && text[2] <= '9';
    if (!digits)
        return std::unexpected(
            fmt::format("'{}' is no refusal; write a code of 400-559 and a text, or drop", text));
    unsigned code =
        unsigned(text[0] - '0') * 100 + unsigned(text[1] - '0') * 10 + unsigned(text[2] - '0');
    return Reply{code, fmt::format("{}\r\n", text)};
}

}  // namespace

std::string_view name(Stage stage) {
    static constexpr std::array<std::string_view, stages> names{"connect", "hello", "mail", "rcpt",
                                                                "data",    "final", "other"};
    return names[size_t(stage)];
}

bench::Parsed<Mix> Mix::parse(std::string_view text) {
    Mix mix;
    double sum = 0;
    while (!trimmed(text).empty()) {
        // A comma ends an entry only where another share follows, so that a reply's text may hold
        // commas.
        size_t end = text.size();
        for (size_t comma = text.find(','); comma != std::string_view::npos;
             comma = text.find(',', comma + 1)) {
            auto next = trimmed(text.substr(comma + 1));
            size_t digits = next.find_first_not_of("0123456789.");
            if (digits != 0 && digits != std::string_view::npos && next[digits] == '%') {
                end = comma;
                break;
            }
        }
        auto entry = trimmed(text.substr(0, end));
        text.remove_prefix(end == text.size() ? end : end + 1);
        char* after = nullptr;
        std::string number(entry);
        double share = std::strtod(number.c_str(), &after);
        if (after == number.c_str() || *after != '%' || !std::isfinite(share) || share < 0)
            return std::unexpected(fmt::format(
                "'{}' has no share; write for example: 2% 550 5.1.1 no such user, 0.5% drop",
                entry));
        auto reply = parse_reply(trimmed(std::string_view(after + 1)));
        if (!reply) return std::unexpected(reply.error());
        sum += share;
        if (sum > 100.0001)
            return std::unexpected(fmt::format("the shares add up to {}%, more than 100%", sum));
        mix.entries_.push_back(
            {uint64_t(std::llround(sum / 100 * 4294967296.0)), std::move(*reply)});
    }
    return mix;
}

const Reply* Mix::choose(uint64_t hash) const {
    uint64_t point = hash >> 32;
    for (const Entry& entry : entries_) {
        if (point < entry.below) return &entry.reply;
    }
    return nullptr;
}

const Reply* Script::choose(Stage stage, std::string_view key) {
    const Mix& mix = mixes[size_t(stage)];
    if (mix.empty()) return nullptr;
    uint64_t hash = hash_of(stage, key);
    const Reply* reply = mix.choose(hash);
    if (!reply || reply->lasting() || accept_on_try == 0) return reply;
    auto known = tries_.find(hash);
    if (known == tries_.end()) {
        if (tries_.size() >= remembered_max) return nullptr;
        known = tries_.emplace(hash, 0).first;
    }
    if (known->second + 1 >= accept_on_try) return nullptr;
    ++known->second;
    return reply;
}

const Reply* Script::choose(Stage stage, uint64_t ordinal) const {
    const Mix& mix = mixes[size_t(stage)];
    if (mix.empty()) return nullptr;
    return mix.choose(mixed(ordinal * stages + uint64_t(stage)));
}

}  // namespace sink

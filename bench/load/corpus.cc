#include "bench/load/corpus.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

namespace load {
namespace {

constexpr size_t line_octets = 72;

/// Prose of about `size` octets with `newline` at the ends of its lines and the placeholders spread
/// over it.
std::string text(uint64_t size, unsigned vars, std::string_view newline) {
    constexpr std::string_view words =
        "the quick brown fox jumps over the lazy dog while sixty zippers were quickly picked ";
    std::string out;
    out.reserve(size + 64);
    unsigned placed = 0;
    for (uint64_t line = 0; out.size() < size; ++line) {
        if (placed < vars && out.size() * (vars + 1) >= size * (placed + 1))
            out += fmt::format("{{{{v{}}}}} ", placed++);
        size_t start = (line * 7) % words.size();
        size_t room = std::min<uint64_t>(line_octets, size - out.size());
        for (size_t i = 0; i < room; ++i) out += words[(start + i) % words.size()];
        out += newline;
    }
    while (placed < vars) out += fmt::format("{{{{v{}}}}}{}", placed++, newline);
    return out;
}

bool number(std::string_view text, uint64_t& value) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

bench::Parsed<DomainPattern> DomainPattern::parse(std::string_view text) {
    DomainPattern pattern;
    size_t open = text.find('{');
    size_t close = text.find('}');
    pattern.before_ = text.substr(0, open);
    if (open == std::string_view::npos && close == std::string_view::npos) return pattern;
    auto wrong = [&] {
        return std::unexpected(fmt::format("{}: not a pattern; write d{{0..199}}.demo.test", text));
    };
    if (open == std::string_view::npos || close == std::string_view::npos || close < open)
        return wrong();
    auto range = text.substr(open + 1, close - open - 1);
    size_t dots = range.find("..");
    uint64_t last = 0;
    if (dots == std::string_view::npos || !number(range.substr(0, dots), pattern.first_) ||
        !number(range.substr(dots + 2), last) || last < pattern.first_)
        return wrong();
    pattern.count_ = last - pattern.first_ + 1;
    pattern.after_ = text.substr(close + 1);
    return pattern;
}

void DomainPattern::append(std::string& out, uint64_t n) const {
    out += before_;
    if (count_ > 0) fmt::format_to(std::back_inserter(out), "{}", first_ + n % count_);
    out += after_;
}

Corpus::Corpus(CorpusOptions options) : options_(std::move(options)) {
    nlohmann::json job{{"from", options_.from},
                       {"campaign", options_.campaign},
                       {"class", options_.job_class},
                       {"content",
                        {{"from", "Load <news@load.test>"},
                         {"subject", options_.vars > 0 ? "Load for {{v0}}" : "Load"},
                         {"text", text(options_.size, options_.vars, "\n")}}}};
    if (!options_.send_at.empty()) job["send_at"] = options_.send_at;
    job_line_ = job.dump();
    job_ = job_line_.substr(1, job_line_.size() - 2);
    job_line_ += '\n';
    message_ =
        "From: Load <news@load.test>\r\nTo: undisclosed-recipients:;\r\nSubject: Load\r\n"
        "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <load@load.test>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n";
    message_ += text(options_.size, 0, "\r\n");
}

void Corpus::append_address(std::string& out, uint64_t n) const {
    fmt::format_to(std::back_inserter(out), "u{}@", options_.first + n);
    options_.domains.append(out, options_.first + n);
}

std::string Corpus::json_job(uint64_t n, unsigned count) const {
    std::string out = "{" + job_ + ",\"recipients\":[";
    for (unsigned i = 0; i < count; ++i) {
        if (i > 0) out += ',';
        append_recipient(out, n + i);
    }
    return out + "]}";
}

void Corpus::append_recipient_line(std::string& out, uint64_t n) const {
    append_recipient(out, n);
    out += '\n';
}

void Corpus::append_recipient(std::string& out, uint64_t n) const {
    out += "{\"to\":\"";
    append_address(out, n);
    out += '"';
    for (unsigned i = 0; i < options_.vars; ++i)
        fmt::format_to(std::back_inserter(out), "{}\"v{}\":\"value {} of {}\"",
                       i == 0 ? ",\"vars\":{" : ",", i, i, options_.first + n);
    out += options_.vars > 0 ? "}}" : "}";
}

}  // namespace load

#include "ingest/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace ingest {

namespace {
/// Columns that a text takes on a terminal, near enough: one per code point.
size_t columns(std::string_view text) {
    return static_cast<size_t>(
        std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}
}  // namespace

bool wants_colour(int fd) {
    const char* no_colour = std::getenv("NO_COLOR");
    return isatty(fd) == 1 && !(no_colour && *no_colour);
}

std::string coloured(std::string_view text, Colour colour) {
    static const bool welcome = wants_colour(STDOUT_FILENO);
    if (!welcome) return std::string(text);
    switch (colour) {
        case Colour::plain:
            return std::string(text);
        case Colour::good:
            return fmt::format("\x1b[32m{}\x1b[0m", text);
        case Colour::warning:
            return fmt::format("\x1b[33m{}\x1b[0m", text);
        case Colour::bad:
            return fmt::format("\x1b[31m{}\x1b[0m", text);
        case Colour::faint:
            return fmt::format("\x1b[2m{}\x1b[0m", text);
    }
    return std::string(text);
}

std::string printable(std::string_view text) {
    std::string out(text);
    for (size_t i = 0; i < out.size(); ++i) {
        const auto byte = static_cast<unsigned char>(out[i]);
        // U+0080 to U+009F are control characters, too: some terminals obey them.
        const bool c1 =
            byte == 0xc2 && i + 1 < out.size() && static_cast<unsigned char>(out[i + 1]) < 0xa0;
        if (byte < 0x20 || byte == 0x7f) out[i] = byte == '\n' ? ' ' : '?';
        if (c1) {
            out[i] = '?';
            out[i + 1] = '?';
        }
    }
    return out;
}

std::string grouped(uint64_t number) {
    std::string digits = std::to_string(number);
    for (size_t at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, ",");
    }
    return digits;
}

std::string short_duration(std::chrono::milliseconds time) {
    using namespace std::chrono;
    if (time < 1s) return fmt::format("{} ms", time.count());
    if (time < 1min) return fmt::format("{:.1f} s", duration<double>(time).count());
    const auto s = duration_cast<seconds>(time).count();
    if (time < 1h) return fmt::format("{} min {} s", s / 60, s % 60);
    if (time < 24h) return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
    return fmt::format("{} d {} h", s / 86400, s / 3600 % 24);
}

std::string short_size(double bytes) {
    constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit) bytes /= 1024;
    return unit == 0 ? fmt::format("{:.0f} B", bytes)
                     : fmt::format("{:.1f} {}", bytes, units[unit]);
}

std::string Table::text(std::string_view indent) const {
    std::vector<size_t> widths;
    for (const auto& row : rows_) {
        widths.resize(std::max(widths.size(), row.size()));
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
    }
    std::string out;
    for (const auto& row : rows_) {
        out += indent;
        for (size_t i = 0; i < row.size(); ++i) {
            out += row[i];
            if (i + 1 < row.size()) out.append(widths[i] - columns(row[i]) + 2, ' ');
        }
        out += '\n';
    }
    return out;
}

ProgressLine::ProgressLine() : active_(isatty(STDERR_FILENO) == 1) {}

void ProgressLine::show(double share, std::string_view text) {
    const auto now = std::chrono::steady_clock::now();
    if (!active_ || now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    drawn_ = true;
    std::string bar;
    if (share >= 0) {
        constexpr int width = 30;
        const int filled = static_cast<int>(std::clamp(share, 0.0, 1.0) * width);
        bar =
            fmt::format("[{:#<{}}{:.<{}}] {:3.0f}%  ", "", filled, "", width - filled, share * 100);
    }
    fmt::print(stderr, "\r\x1b[2K{}{}", bar, text);
    std::fflush(stderr);
}

void ProgressLine::clear() {
    if (!drawn_) return;
    drawn_ = false;
    fmt::print(stderr, "\r\x1b[2K");
    std::fflush(stderr);
}

}  // namespace ingest

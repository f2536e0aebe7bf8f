#include "ingest/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>

namespace ingest {

namespace {

using std::chrono::milliseconds;

constexpr size_t shown_max = 60;  // of a bad value inside an error text

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text.substr(0, shown_max)) out += (c >= ' ' && c < 0x7f) ? c : '?';
    return out + (text.size() > shown_max ? "…\"" : "\"");
}

struct Unit {
    std::string_view name;
    uint64_t factor;
};
constexpr std::array<Unit, 5> duration_units{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 5> size_units{
    {{"B", 1}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40}}};
constexpr uint64_t duration_ms_max = 100ull * 366 * 86'400'000;

struct Quantity {
    uint64_t number = 0;
    std::string_view unit;
};
std::optional<Quantity> split_number(std::string_view text) {
    Quantity out;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out.number);
    if (error != std::errc() || end == text.data()) return std::nullopt;
    out.unit = text.substr(static_cast<size_t>(end - text.data()));
    return out;
}

/// number * factor when the unit is known and the product is at most `most`.
std::optional<uint64_t> scaled(std::string_view text, std::span<const Unit> units, uint64_t most) {
    const auto quantity = split_number(text);
    if (!quantity) return std::nullopt;
    for (const Unit& unit : units) {
        if (unit.name != quantity->unit) continue;
        if (quantity->number > most / unit.factor) return std::nullopt;
        return quantity->number * unit.factor;
    }
    return std::nullopt;
}

}  // namespace

Parsed<milliseconds> parse_duration(std::string_view text) {
    if (const auto ms = scaled(text, duration_units, duration_ms_max)) return milliseconds(*ms);
    return std::unexpected(
        quoted(text) +
        " is not a duration: write a whole number and ms, s, m, h or d, like 30s or 2h");
}

Parsed<uint64_t> parse_size(std::string_view text) {
    if (text == "0") return 0;
    if (const auto bytes = scaled(text, size_units, UINT64_MAX)) return *bytes;
    return std::unexpected(
        quoted(text) +
        " is not a size: write a whole number and B, KiB, MiB, GiB or TiB, like 64KiB");
}

Parsed<double> parse_rate(std::string_view text) {
    const auto bad = [&] {
        return std::unexpected(
            quoted(text) + " is not a rate: write a number and /s, /min, /h or /d, like 100/s or 5000/h");
    };
    // Checked by hand first: from_chars would take "inf", "nan" and "1e300", too.
    const size_t slash = text.find('/');
    if (slash == 0 || slash == std::string_view::npos || slash > 15) return bad();
    const auto number = text.substr(0, slash);
    if (number.find_first_not_of("0123456789.") != std::string_view::npos) return bad();
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc() || end != number.data() + number.size()) return bad();
    const auto unit = text.substr(slash + 1);
    if (unit == "s") return value;
    if (unit == "m" || unit == "min") return value / 60;
    if (unit == "h") return value / 3600;
    if (unit == "d") return value / 86400;
    return bad();
}

namespace {

/// Reads fixed-width fields off the front of a time.
class FieldReader {
  public:
    explicit FieldReader(std::string_view text) : rest_(text) {}
    int digits(size_t count, int least, int most) {
        if (rest_.size() < count) return fail();
        int value = 0;
        for (size_t i = 0; i < count; ++i) {
            if (rest_[i] < '0' || rest_[i] > '9') return fail();
            value = value * 10 + (rest_[i] - '0');
        }
        rest_.remove_prefix(count);
        return value < least || value > most ? fail() : value;
    }
    /// One of `choices`, or 0.
    char one_of(std::string_view choices) {
        if (rest_.empty() || !choices.contains(rest_.front())) {
            fail();
            return 0;
        }
        const char found = rest_.front();
        rest_.remove_prefix(1);
        return found;
    }
    bool starts_with(char c) const { return rest_.starts_with(c); }
    /// A fraction of a second after its point, cut to milliseconds.
    int fraction_ms() {
        rest_.remove_prefix(1);
        int value = 0;
        size_t count = 0;
        while (count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9') {
            if (count < 3) value = value * 10 + (rest_[count] - '0');
            ++count;
        }
        if (count == 0 || count > 9) return fail();
        for (size_t i = count; i < 3; ++i) value *= 10;
        rest_.remove_prefix(count);
        return value;
    }
    bool good() const { return good_ && rest_.empty(); }

  private:
    int fail() {
        good_ = false;
        return 0;
    }
    std::string_view rest_;
    bool good_ = true;
};

std::optional<storage::WallTime> read_time(std::string_view text) {
    using namespace std::chrono;
    FieldReader in(text);
    const year y(in.digits(4, 1970, 9999));
    in.one_of("-");
    const month m(static_cast<unsigned>(in.digits(2, 1, 12)));
    in.one_of("-");
    const day d(static_cast<unsigned>(in.digits(2, 1, 31)));
    const year_month_day date(y, m, d);
    in.one_of("Tt");
    const hours hour(in.digits(2, 0, 23));
    in.one_of(":");
    const minutes minute(in.digits(2, 0, 59));
    in.one_of(":");
    const seconds second(
        in.digits(2, 0, 60));  // 60: a leap second, which runs into the next minute
    const milliseconds fraction(in.starts_with('.') ? in.fraction_ms() : 0);
    minutes offset(0);
    const char zone = in.one_of("Zz+-");
    if (zone == '+' || zone == '-') {
        offset = hours(in.digits(2, 0, 23));
        in.one_of(":");
        offset += minutes(in.digits(2, 0, 59));
        if (zone == '-') offset = -offset;
    }
    if (!in.good() || !date.ok()) return std::nullopt;
    return storage::WallTime(sys_days(date)) + hour + minute + second + fraction - offset;
}

}  // namespace

Parsed<storage::WallTime> parse_time(std::string_view text) {
    if (const auto time = read_time(text)) return *time;
    return std::unexpected(quoted(text) +
                           " is not a time: write RFC 3339 with a zone, like 2026-11-22T10:00:00Z");
}

Parsed<uint64_t> parse_count(std::string_view text, uint64_t most) {
    const auto quantity = split_number(text);
    if (quantity && quantity->unit.empty() && quantity->number <= most) return quantity->number;
    return std::unexpected(
        fmt::format("{} is not a whole number from 0 to {}", quoted(text), most));
}

std::string format_time(storage::WallTime time) {
    using namespace std::chrono;
    const auto day = floor<days>(time);
    const year_month_day date(day);
    const hh_mm_ss clock(time - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

std::string format_duration(milliseconds duration) {
    const auto ms = static_cast<uint64_t>(duration.count() < 0 ? 0 : duration.count());
    for (size_t i = duration_units.size() - 1; i > 0 && ms > 0; --i) {
        if (ms % duration_units[i].factor == 0) {
            return fmt::format("{}{}", ms / duration_units[i].factor, duration_units[i].name);
        }
    }
    return fmt::format("{}ms", ms);
}

}  // namespace ingest

// The texts that people write for times, sizes and rates: in the configuration, in requests, on the
// command line. One grammar for all of them, so that what works in one place works in the others.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "storage/types.h"

namespace ingest {

/// The error is a sentence for people that says what is wrong and what would be right.
template <class T>
using Parsed = std::expected<T, std::string>;

/// "250ms", "30s", "5m", "2h", "3d": a whole number and one unit. At most 100 years.
Parsed<std::chrono::milliseconds> parse_duration(std::string_view text);
/// "0", "512B", "64KiB", "10MiB", "1GiB", "2TiB": a whole number and one binary unit, in bytes.
/// "MB" is refused, because it means two things.
Parsed<uint64_t> parse_size(std::string_view text);
/// "100/s", "90/min" (or "90/m"), "5000/h", "20000/d", "1.5/s", as events per second.
Parsed<double> parse_rate(std::string_view text);
/// RFC 3339: "2026-11-22T10:00:00Z", "2026-11-22T11:00:00.250+01:00". More digits than milliseconds
/// are cut off.
Parsed<storage::WallTime> parse_time(std::string_view text);
/// A whole number without sign, at most `most`.
Parsed<uint64_t> parse_count(std::string_view text, uint64_t most);

/// "2026-11-22T10:00:00.000Z".
std::string format_time(storage::WallTime time);
/// The largest unit that says it exactly: "90s", "2h", "250ms".
std::string format_duration(std::chrono::milliseconds duration);

}  // namespace ingest

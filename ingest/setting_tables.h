// The parts that the table of settings (setting.h) is put together from: one file for each, by what
// the settings are about.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ingest/setting.h"

namespace ingest::tables {

using Type = Setting::Type;
using Reload = Setting::Reload;
using T = const SettingTarget&;
using V = SettingValue&&;

constexpr uint64_t second_ms = 1000, minute_ms = 60 * second_ms, day_ms = 24 * 60 * minute_ms;
// Bounds of timeouts: below a tenth of a second nothing on the Internet answers; above an hour a
// dead peer holds its slot for too long.
constexpr uint64_t timeout_least = 100, timeout_most = 60 * minute_ms;

std::span<const Setting> node();      // [node], [listen], [tls], [dns]
std::span<const Setting> delivery();  // [delivery], [timeouts], [retry], [in_doubt], [dsn],
                                      // [suppression], [queue]
std::span<const Setting> receiver();  // [[provider]], [[domain]]
std::span<const Setting> sending();   // [[source]], [[automation]], [[pool]], [[dkim]]
std::span<const Setting> tenant();    // [[tenant]], [[credential]]
std::span<const Setting> sinks();     // [[webhook]]

/// Those of [delivery], of every [[provider]] and every [[domain]]; the section is put in.
std::span<const Setting> limits();
/// Of every [[provider]], [[source]], [[pool]] and, those of messages, [[tenant]]; the section is
/// put in.
std::span<const Setting> totals();
/// Of [[provider]] and [[domain]] alone; for all others it is a timeout.
const Setting& idle();

std::vector<std::string> lower_case(std::vector<std::string> texts);
/// A bit for each class, as engine::Settings::suppressed_bounces has them.
uint32_t bounce_bits(const std::vector<std::string>& classes);

}  // namespace ingest::tables

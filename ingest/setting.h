// Every setting, declared once: name, type, default, bounds, help, whether a reload may change it.
// The parser, its suggestions, `sluice check` and the example file's test are all made from this
// table.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/config.h"

namespace ingest {

/// A value as it was read, by the setting's type.
struct SettingValue {
    std::string text;
    std::vector<std::string> texts;
    uint64_t number = 0;  // integer, or bytes of a size
    bool flag = false;
    std::chrono::milliseconds duration{};
    std::vector<std::chrono::milliseconds> durations;
    double rate = 0;  // per second
};

/// Where a value goes: the configuration, and the entry of a repeated section that is being read.
struct SettingTarget {
    Config& config;
    engine::LimitLayer* limits = nullptr;  // of [delivery], a [[provider]], a [[domain]]
    engine::TotalLimits* total = nullptr;  // of a [[provider]], [[source]], [[pool]], [[tenant]]
    engine::Provider* provider = nullptr;
    engine::DomainSettings* domain = nullptr;
    engine::DkimEntry* dkim = nullptr;
    engine::SourceSettings* source = nullptr;
    PoolEntry* pool = nullptr;
    engine::AutomationRule* automation = nullptr;
    Tenant* tenant = nullptr;
    Credential* credential = nullptr;
    Webhook* webhook = nullptr;
};

struct Setting {
    enum class Type : uint8_t { text, texts, integer, flag, duration, durations, size, rate };
    enum class Reload : uint8_t { live, restart };
    /// Looks at one text. The error says what is wrong with it and what would be right.
    using Check = std::optional<std::string> (*)(const std::string& text);

    struct Bounds {
        uint64_t least = 0, most = UINT64_MAX;  // of an integer, of milliseconds, of bytes
        Check check = nullptr;                  // of a text, or of each one in a list
        bool required = false;                  // in every entry of a repeated section
        bool secret = false;                    // its value is shown to nobody
        bool file = false;                      // it names files, whose contents count as well
    };

    std::string_view section, key;
    Type type{};
    std::string_view fallback;  // as TOML; empty: none, or computed
    Reload reload = Reload::live;
    Bounds bounds;
    std::string_view help;
    void (*set)(const SettingTarget&, SettingValue&&) = nullptr;
};

std::span<const Setting> settings();
/// [[provider]], [[domain]], [[tenant]]…: sections that may come many times.
bool is_repeated(std::string_view section);
/// The key that names an entry: "name", "user" of a [[credential]], "selector" of a [[dkim]].
std::string_view naming_key(std::string_view section);
std::string_view to_string(Setting::Type type);  // for people: "a duration"

}  // namespace ingest

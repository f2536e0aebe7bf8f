#include "ingest/setting.h"

#include <algorithm>
#include <array>

#include "engine/bounce/bounce_class.h"
#include "ingest/setting_tables.h"

namespace ingest {

namespace tables {
std::vector<std::string> lower_case(std::vector<std::string> texts) {
    for (auto& text : texts)
        std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return texts;
}

uint32_t bounce_bits(const std::vector<std::string>& classes) {
    uint32_t bits = 0;
    for (const std::string& name : classes)
        if (const auto klass = engine::parse_bounce_class(name))
            bits |= 1U << static_cast<unsigned>(*klass);
    return bits;
}
}  // namespace tables

std::span<const Setting> settings() {
    // The limits and the totals stand behind the first keys of each section that has them.
    static const std::vector<Setting> all = [] {
        std::vector<Setting> made;
        const auto add_limits = [&](std::string_view section) {
            for (Setting limit : tables::limits()) {
                // How to speak with a host is not the source's to say.
                const bool of_dialogue =
                    limit.key == "tls" || limit.key == "depth" || limit.key == "window";
                if (section == "source" && of_dialogue) continue;
                limit.section = section;
                if (is_repeated(section)) limit.fallback = "";
                made.push_back(limit);
            }
            if (!is_repeated(section)) return;
            made.push_back(tables::idle());
            made.back().section = section;
        };
        const auto add_totals = [&](std::string_view section) {
            for (Setting total : tables::totals()) {
                // Connections carry the mail of several tenants.
                if (section == "tenant" && total.key.contains("connection")) continue;
                total.section = section;
                made.push_back(total);
            }
        };
        const auto add = [&](const Setting& setting) {
            made.push_back(setting);
            const auto is = [&](std::string_view section, std::string_view key) {
                return setting.section == section && setting.key == key;
            };
            if (is("delivery", "allow_addresses") || is("provider", "mx_suffix") ||
                is("domain", "route") || is("source", "weight"))
                add_limits(setting.section);
            if (is("provider", "mx_suffix") || is("source", "weight") || is("pool", "sources") ||
                is("tenant", "weight"))
                add_totals(setting.section);
        };
        for (const auto part : {tables::node(), tables::delivery(), tables::receiver(),
                                tables::sending(), tables::tenant(), tables::sinks()})
            std::ranges::for_each(part, add);
        return made;
    }();
    return all;
}

bool is_repeated(std::string_view section) {
    constexpr std::array sections{"provider", "domain",     "source",     "pool",   "dkim",
                                  "tenant",   "credential", "automation", "webhook"};
    return std::ranges::find(sections, section) != sections.end();
}

std::string_view naming_key(std::string_view section) {
    if (section == "dkim") return "selector";
    return section == "credential" ? "user" : "name";
}

std::string_view to_string(Setting::Type type) {
    using Type = Setting::Type;
    switch (type) {
        case Type::text:
            return "a text in quotes";
        case Type::texts:
            return "a list of texts";
        case Type::integer:
            return "a whole number";
        case Type::flag:
            return "true or false";
        case Type::duration:
            return "a duration in quotes, such as \"30s\" or \"2h\"";
        case Type::durations:
            return "a list of durations, such as [\"1m\", \"1h\"]";
        case Type::size:
            return "a size in quotes, such as \"64KiB\" or \"1GiB\"";
        case Type::rate:
            return "a rate in quotes, such as \"100/s\", \"90/min\" or \"5000/h\"";
    }
    return "a value";
}

}  // namespace ingest

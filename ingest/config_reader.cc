#include "ingest/config_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <sstream>
#include <utility>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "ingest/did_you_mean.h"
#include "ingest/digest.h"
#include "ingest/setting.h"
#include "ingest/units.h"

namespace ingest {

namespace {
constexpr size_t entries_max = 10'000;  // of one repeated section

const Setting* find_setting(std::string_view section, std::string_view key) {
    const auto all = settings();
    const auto it = std::ranges::find_if(
        all, [&](const Setting& s) { return s.section == section && s.key == key; });
    return it == all.end() ? nullptr : &*it;
}

std::vector<std::string_view> section_names() {
    std::vector<std::string_view> names;
    for (const Setting& s : settings()) {
        if (std::ranges::find(names, s.section) == names.end()) names.push_back(s.section);
    }
    return names;
}

std::vector<std::string_view> key_names(std::string_view section) {
    std::vector<std::string_view> names;
    for (const Setting& s : settings()) {
        if (s.section == section) names.push_back(s.key);
    }
    return names;
}

std::string brackets(std::string_view section) {
    return is_repeated(section) ? fmt::format("[[{}]]", section) : fmt::format("[{}]", section);
}

/// What the reader says of a word that it does not know.
std::string unknown_mend(std::string_view word, std::span<const std::string_view> known) {
    const std::string near = did_you_mean(word, known);
    if (!near.empty()) return fmt::format("did you mean {}?", near);
    return fmt::format("known here: {}", fmt::join(known, ", "));
}

std::string shown(std::string_view text) {
    constexpr size_t shown_max = 60;
    std::string out;
    for (const char c : text.substr(0, shown_max))
        out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    return text.size() > shown_max ? out + "..." : out;
}

/// The largest unit that says it exactly.
std::string format_size(uint64_t bytes) {
    constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < units.size()) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{}{}", bytes, units[unit]);
}

std::string toml_text(const toml::node& node) {
    std::ostringstream out;
    constexpr auto flags =
        toml::toml_formatter::default_flags & ~toml::format_flags::allow_literal_strings;
    out << toml::toml_formatter(node, flags);
    return std::move(out).str();
}

/// Turns one parsed document into settings. Problems are collected, never thrown; a value with a
/// problem is left out.
class Reader {
  public:
    Reader(Config& config, std::string_view file, ConfigProblems& problems)
        : config_(config), file_(file), problems_(problems) {}

    void read(const toml::table& document) {
        // The files that [delivery] names come before this one's entries, which change theirs.
        for (auto&& [key, node] : document) {
            if (!is_repeated(key.str())) read_section(key, node);
        }
        for (const std::string& path : std::exchange(config_.provider_files, {}))
            read_provider_file(path);
        for (auto&& [key, node] : document) {
            if (is_repeated(key.str())) read_repeated(key, node);
        }
    }

  private:
    void problem(const toml::source_region& at, std::string what, std::string mend) {
        problems_.push_back(
            {std::string(file_), at.begin.line, at.begin.column, std::move(what), std::move(mend)});
    }

    void read_section(const toml::key& key, const toml::node& node) {
        const std::string_view name = key.str();
        const auto sections = section_names();
        if (std::ranges::find(sections, name) == sections.end()) {
            return problem(key.source(), fmt::format("unknown section [{}]", shown(name)),
                           section_mend(name, sections));
        }
        const toml::table* table = node.as_table();
        if (!table) {
            return problem(key.source(), fmt::format("{} is a section", name),
                           fmt::format("write [{}] on a line of its own and its keys below", name));
        }
        engine::LimitLayer limits;
        read_table(name, *table, {.config = config_, .limits = &limits}, std::string(name));
        limits.lie_on(config_.delivery.limits);
    }

    /// Its place counts from the folder of the file that names it.
    void read_provider_file(const std::string& name) {
        const auto path = std::filesystem::path(file_).parent_path() / name;
        config_.files.push_back({path.string(), {}});
        const toml::parse_result document = toml::parse_file(path.string());
        if (document.failed()) {
            const toml::parse_error& error = document.error();
            const auto at = error.source().begin;
            problems_.push_back({path.string(), at.line, at.column,
                                 std::string(error.description()),
                                 "[delivery] provider_files names it"});
            return;
        }
        Reader inner(config_, path.string(), problems_);
        for (auto&& [key, node] : document.table()) {
            if (key.str() == "provider" || key.str() == "domain" || key.str() == "automation")
                inner.read_repeated(key, node);
            else
                inner.problem(key.source(),
                              fmt::format("{} in a file of providers", shown(key.str())),
                              "only [[provider]], [[domain]] and [[automation]] belong there");
        }
    }

    /// A key may have lost its section: then name the section that it belongs to.
    std::string section_mend(std::string_view word, std::span<const std::string_view> sections) {
        for (const Setting& s : settings()) {
            if (s.key == word && !is_repeated(s.section)) {
                return fmt::format("{} belongs in [{}]", s.key, s.section);
            }
        }
        return unknown_mend(word, sections);
    }

    void read_repeated(const toml::key& key, const toml::node& node) {
        const std::string_view section = key.str();
        const toml::array* entries = node.as_array();
        const bool all_tables = entries && std::ranges::all_of(*entries, [](const toml::node& e) {
                                    return e.is_table();
                                });
        if (!all_tables) {
            return problem(key.source(), fmt::format("{} may come many times", section),
                           fmt::format("write [[{}]] with two brackets, once for each", section));
        }
        if (entries->size() > entries_max) {
            return problem(key.source(),
                           fmt::format("{} entries of [[{}]]", entries->size(), section),
                           fmt::format("at most {}", entries_max));
        }
        std::set<std::string> names;
        for (const toml::node& entry : *entries) {
            read_entry(section, *entry.as_table(), names);
        }
    }

    void read_entry(std::string_view section, const toml::table& table,
                    std::set<std::string>& names) {
        const std::string label = label_of(section, table);
        const std::string prefix = fmt::format("{}.{}", section, shown(label));
        engine::Provider* known = section == "provider" ? provider_named(label) : nullptr;
        engine::DomainSettings* known_domain = section == "domain" ? domain_named(label) : nullptr;
        for (const Setting& s : settings()) {
            if (s.section == section && s.bounds.required && !table.contains(s.key) && !known) {
                problem(table.source(), fmt::format("[[{}]] has no {}", section, s.key),
                        fmt::format("add it: {}", s.help));
            }
        }
        std::string lower = label;
        std::ranges::transform(lower, lower.begin(),
                               [](unsigned char c) { return std::tolower(c); });
        if (!label.contains('?') && !names.insert(lower).second) {
            problem(table.get(naming_key(section))->source(),
                    fmt::format("[[{}]] {} is there twice", section, shown(label)),
                    "make one of both");
        }
        SettingTarget target{config_};
        if (section == "provider") {
            target.provider = known ? known : &config_.delivery.providers.emplace_back();
            target.limits = &target.provider->limits;
            target.total = &target.provider->total;
        } else if (section == "domain") {
            target.domain = known_domain ? known_domain : &config_.delivery.domains.emplace_back();
            target.limits = &target.domain->limits;
        } else if (section == "source") {
            target.source = &config_.sources.emplace_back();
            target.limits = &target.source->limits;
            target.total = &target.source->total;
        } else if (section == "automation") {
            target.automation = &config_.delivery.automation.emplace_back();
            target.automation->origin = fmt::format("{}:{}", file_, table.source().begin.line);
        } else if (section == "pool") {
            target.pool = &config_.pools.emplace_back();
            target.total = &target.pool->total;
        } else if (section == "dkim") {
            target.dkim = &config_.dkim.emplace_back();
        } else if (section == "tenant") {
            target.tenant = &config_.tenants.emplace_back();
            target.total = &target.tenant->delivery.total;
        } else if (section == "webhook") {
            target.webhook = &config_.webhooks.emplace_back();
        } else {
            target.credential = &config_.credentials.emplace_back();
        }
        read_table(section, table, target, prefix);
    }

    /// Of a file that was read before, or null.
    engine::Provider* provider_named(const std::string& name) {
        auto& all = config_.delivery.providers;
        const auto found = std::ranges::find(all, name, &engine::Provider::name);
        return found == all.end() ? nullptr : &*found;
    }

    engine::DomainSettings* domain_named(const std::string& name) {
        auto& all = config_.delivery.domains;
        const auto found = std::ranges::find(all, name, &engine::DomainSettings::name);
        return found == all.end() ? nullptr : &*found;
    }

    /// What tells an entry from the others of its section; a '?' stands for what it lacks.
    static std::string label_of(std::string_view section, const toml::table& table) {
        const auto text = [&](std::string_view key) {
            return table[key].value_or(std::string("?"));
        };
        if (section != "dkim") return text(naming_key(section));
        const std::string tenant = table.contains("tenant") ? "." + text("tenant") : "";
        return fmt::format("{}.{}{}", text("selector"), text("domain"), tenant);
    }

    void read_table(std::string_view section, const toml::table& table, const SettingTarget& target,
                    const std::string& prefix) {
        for (auto&& [key, node] : table) {
            const Setting* setting = find_setting(section, key.str());
            if (setting) {
                read_setting(*setting, node, target, prefix);
            } else {
                problem(key.source(),
                        fmt::format("unknown key {} in {}", shown(key.str()), brackets(section)),
                        unknown_mend(key.str(), key_names(section)));
            }
        }
    }

    void read_setting(const Setting& setting, const toml::node& node, const SettingTarget& target,
                      const std::string& prefix) {
        const size_t before = problems_.size();
        SettingValue value = read_value(setting, node);
        if (problems_.size() != before) return;
        if (setting.bounds.file) note_files(value);
        setting.set(target, std::move(value));
        const std::string origin = file_ == default_origin
                                       ? std::string(default_origin)
                                       : fmt::format("{}:{}", file_, node.source().begin.line);
        const auto limit = engine::parse_limit_key(setting.key);
        if (target.limits && limit && origin != default_origin)
            target.limits->origins[static_cast<size_t>(*limit)] = origin;
        const auto total = engine::parse_total_limit(setting.key);
        if (target.total && total) target.total->origins[static_cast<size_t>(*total)] = origin;
        const std::string text = setting.bounds.secret ? "\"(hidden)\"" : toml_text(node);
        remember({fmt::format("{}.{}", prefix, setting.key), text, origin,
                  setting.bounds.secret ? plain_sha256(toml_text(node)) : ""});
    }

    void note_files(const SettingValue& value) {
        if (!value.text.empty()) config_.files.push_back({value.text, {}});
        for (const std::string& path : value.texts) config_.files.push_back({path, {}});
    }

    void remember(Config::Effective entry) {
        const auto it = std::ranges::find(config_.effective, entry.name, &Config::Effective::name);
        if (it != config_.effective.end()) {
            *it = std::move(entry);
        } else {
            config_.effective.push_back(std::move(entry));
        }
    }

    void bad(const Setting& setting, const toml::node& node, std::string_view why) {
        problem(node.source(),
                fmt::format("{} {}: {}", brackets(setting.section), setting.key, why), "");
    }
    void bad_type(const Setting& setting, const toml::node& node) {
        problem(node.source(),
                fmt::format("{} {}: {} is of another kind", brackets(setting.section), setting.key,
                            setting.bounds.secret ? "the value" : shown(toml_text(node))),
                fmt::format("write {}", to_string(setting.type)));
    }

    SettingValue read_value(const Setting& setting, const toml::node& node) {
        SettingValue value;
        switch (setting.type) {
            case Setting::Type::text:
                value.text = read_text(setting, node);
                break;
            case Setting::Type::integer:
                value.number = read_integer(setting, node);
                break;
            case Setting::Type::flag:
                value.flag = node.is_boolean() && node.as_boolean()->get();
                if (!node.is_boolean()) bad_type(setting, node);
                break;
            case Setting::Type::duration:
                value.duration = read_duration(setting, node);
                break;
            case Setting::Type::size:
                value.number = read_size(setting, node);
                break;
            case Setting::Type::rate:
                value.rate = read_rate(setting, node);
                break;
            case Setting::Type::texts:
                for_each_element(setting, node, [&](const toml::node& n) {
                    value.texts.push_back(read_text(setting, n));
                });
                break;
            case Setting::Type::durations:
                for_each_element(setting, node, [&](const toml::node& n) {
                    value.durations.push_back(read_duration(setting, n));
                });
                if (node.is_array() && node.as_array()->empty())
                    bad(setting, node, "the list is empty; give at least one duration");
                break;
        }
        return value;
    }

    template <class Use>
    void for_each_element(const Setting& setting, const toml::node& node, Use use) {
        const toml::array* array = node.as_array();
        if (!array) return bad_type(setting, node);
        for (const toml::node& element : *array) use(element);
    }

    std::string read_text(const Setting& setting, const toml::node& node) {
        const auto* text = node.as_string();
        if (!text) {
            bad_type(setting, node);
            return {};
        }
        if (setting.bounds.check) {
            if (const auto why = setting.bounds.check(text->get())) {
                const std::string value =
                    setting.bounds.secret ? "the value" : fmt::format("\"{}\"", shown(text->get()));
                bad(setting, node, fmt::format("{} {}", value, *why));
            }
        }
        return text->get();
    }

    uint64_t read_integer(const Setting& setting, const toml::node& node) {
        const auto* number = node.as_integer();
        if (!number) {
            bad_type(setting, node);
            return 0;
        }
        const int64_t n = number->get();
        const auto [least, most] = std::pair(setting.bounds.least, setting.bounds.most);
        if (n < 0 || static_cast<uint64_t>(n) < least || static_cast<uint64_t>(n) > most) {
            bad(setting, node, fmt::format("{} is out of bounds; {} to {}", n, least, most));
            return 0;
        }
        return static_cast<uint64_t>(n);
    }

    std::chrono::milliseconds read_duration(const Setting& setting, const toml::node& node) {
        const auto duration = parsed(setting, node, parse_duration);
        if (!duration) return {};
        const auto ms = static_cast<uint64_t>(duration->count());
        if (ms < setting.bounds.least || ms > setting.bounds.most) {
            const auto text = [](uint64_t bound) {
                return format_duration(std::chrono::milliseconds(bound));
            };
            bad(setting, node,
                fmt::format("{} is out of bounds; {} to {}", text(ms), text(setting.bounds.least),
                            text(setting.bounds.most)));
        }
        return *duration;
    }

    uint64_t read_size(const Setting& setting, const toml::node& node) {
        const auto bytes = parsed(setting, node, parse_size);
        if (!bytes) return 0;
        if (*bytes < setting.bounds.least || *bytes > setting.bounds.most) {
            bad(setting, node,
                fmt::format("{} is out of bounds; {} to {}", format_size(*bytes),
                            format_size(setting.bounds.least), format_size(setting.bounds.most)));
        }
        return *bytes;
    }

    double read_rate(const Setting& setting, const toml::node& node) {
        const auto rate = parsed(setting, node, parse_rate);
        if (rate && *rate <= 0)
            bad(setting, node, "nothing could be sent; leave the key out for no limit");
        return rate.value_or(0);
    }

    /// nullopt: the problem is noted.
    template <class Value>
    std::optional<Value> parsed(const Setting& setting, const toml::node& node,
                                Parsed<Value> (*parse)(std::string_view)) {
        const auto* text = node.as_string();
        if (!text) {
            bad_type(setting, node);
            return std::nullopt;
        }
        auto value = parse(text->get());
        if (value) return *value;
        bad(setting, node, value.error());
        return std::nullopt;
    }

    Config& config_;
    std::string file_;
    ConfigProblems& problems_;
};

}  // namespace

ConfigProblems read_settings(Config& config, std::string_view text, std::string_view file) {
    const toml::parse_result document = toml::parse(text);
    if (document.failed()) {
        const toml::parse_error& error = document.error();
        const auto at = error.source().begin;
        return {{std::string(file), at.line, at.column, std::string(error.description()), ""}};
    }
    ConfigProblems problems;
    Reader(config, file, problems).read(document.table());
    std::ranges::sort(problems, {},
                      [](const ConfigProblem& p) { return std::tie(p.line, p.column, p.what); });
    return problems;
}

}  // namespace ingest

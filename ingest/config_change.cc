#include "ingest/config_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "ingest/config_reader.h"
#include "ingest/setting.h"
#include "metrics/check.h"

namespace ingest {

namespace {

using ByName = std::unordered_map<std::string_view, const Config::Effective*>;

ByName by_name(const Config& config) {
    ByName all;
    for (const Config::Effective& one : config.effective) all.emplace(one.name, &one);
    return all;
}

/// "retry.expires" is [retry] expires, "provider.google.rate" is [[provider]] rate.
const Setting* setting_of(std::string_view name) {
    const std::string_view section = name.substr(0, name.find('.'));
    const std::string_view key = name.substr(name.rfind('.') + 1);
    const auto found = std::ranges::find_if(settings(), [&](const Setting& setting) {
        return setting.section == section && setting.key == key;
    });
    return found == settings().end() ? nullptr : &*found;
}

bool needs_restart(std::string_view name) {
    const Setting* setting = setting_of(name);
    return setting && setting->reload == Setting::Reload::restart;
}

/// Of the sections that may come many times only [[webhook]] takes a restart.
void keep_entry(Config& next, const Config& now, const ConfigChange& change) {
    CHECK(change.name.starts_with("webhook."), "nobody keeps the entries of this section");
    next.webhooks = now.webhooks;
    const auto entry = std::ranges::find(next.effective, change.name, &Config::Effective::name);
    const auto was = std::ranges::find(now.effective, change.name, &Config::Effective::name);
    if (was == now.effective.end())
        next.effective.erase(entry);
    else if (entry == next.effective.end())
        next.effective.push_back(*was);
    else
        *entry = *was;
}

}  // namespace

std::vector<ConfigChange> changes_between(const Config& now, const Config& next) {
    std::vector<ConfigChange> changes;
    const ByName old = by_name(now), fresh = by_name(next);
    for (const Config::Effective& one : next.effective) {
        const auto was = old.find(one.name);
        if (was == old.end()) {
            changes.push_back({one.name, {}, {}, one.value, one.origin, needs_restart(one.name)});
        } else if (was->second->value != one.value || was->second->digest != one.digest) {
            changes.push_back({one.name, was->second->value, was->second->origin, one.value,
                               one.origin, needs_restart(one.name)});
        }
    }
    for (const Config::Effective& one : now.effective)
        if (!fresh.contains(one.name))
            changes.push_back({one.name, one.value, one.origin, {}, {}, needs_restart(one.name)});
    return changes;
}

std::vector<std::string> files_changed(const Config& now, const Config& next) {
    std::vector<std::string> changed;
    for (const Config::File& file : next.files) {
        if (file.path == next.file) continue;  // its settings say what is new in it
        const auto was = std::ranges::find(now.files, file.path, &Config::File::path);
        if (was != now.files.end() && was->digest != file.digest) changed.push_back(file.path);
    }
    return changed;
}

void keep_until_restart(Config& next, const Config& now, const std::vector<ConfigChange>& changes) {
    for (const ConfigChange& change : changes) {
        if (!change.needs_restart) continue;
        const Setting& setting = *setting_of(change.name);
        if (is_repeated(setting.section)) {
            keep_entry(next, now, change);
            continue;
        }
        const auto entry = std::ranges::find(next.effective, change.name, &Config::Effective::name);
        if (change.old_value.empty()) {  // by default it is empty
            setting.set({.config = next}, {});
            if (entry != next.effective.end()) next.effective.erase(entry);
            continue;
        }
        const std::string text =
            fmt::format("[{}]\n{} = {}\n", setting.section, setting.key, change.old_value);
        const auto problems = read_settings(next, text, change.old_origin);
        CHECK(problems.empty(), "a setting that is in force cannot be read again");
        for (Config::Effective& one : next.effective)
            if (one.name == change.name) one.origin = change.old_origin;
    }
}

}  // namespace ingest

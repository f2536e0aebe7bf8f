#include "tests/sim/settings_book.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace sim {

namespace {
// Six addresses of two hosts, each with its look-ups and its patience.
constexpr Nanoseconds lag_rough = 150s;
// A worker that is slow takes seconds, also where nothing else goes wrong.
constexpr Nanoseconds lag_prompt = 8s;
}  // namespace

void SettingsBook::boots(Snapshot with) {
    world_.trace("settings: {}", describe(*with));
    for (Step& step : steps_)
        if (!step.stands) step.stands = world_.now();
    if (steps_.empty() || steps_.back().settings != with)
        steps_.push_back({std::move(with), world_.now(), world_.now()});
}

void SettingsBook::called(Snapshot next) {
    world_.trace("other settings: {}", describe(*next));
    steps_.push_back({std::move(next), world_.now(), std::nullopt});
}

void SettingsBook::stands() {
    const auto step =
        std::ranges::find_if(steps_, [](const Step& one) { return !one.stands.has_value(); });
    if (step != steps_.end()) step->stands = world_.now();
}

Nanoseconds SettingsBook::lag(Instant at) const {
    return prompt_from_ && at >= *prompt_from_ ? lag_prompt : lag_rough;
}

std::vector<const engine::Settings*> SettingsBook::possible(Instant from, Instant to) const {
    std::vector<const engine::Settings*> found;
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
        if (step->called > to && step + 1 != steps_.rend()) continue;
        found.push_back(step->settings.get());
        if (step->stands && *step->stands <= from) break;
    }
    return found;
}

const engine::Provider* provider_of(const engine::Settings& settings, const std::string& group) {
    const std::string suffix = fmt::format(".{}.test", group);
    for (const engine::Provider& provider : settings.providers)
        if (std::ranges::find(provider.mx_suffix, suffix) != provider.mx_suffix.end())
            return &provider;
    return nullptr;
}

std::string provider_name_of(const engine::Settings& settings, const std::string& group) {
    const engine::Provider* provider = provider_of(settings, group);
    return provider ? provider->name : "default";
}

const engine::DomainSettings* led_domain(const engine::Settings& settings) {
    for (const engine::DomainSettings& domain : settings.domains)
        if (!domain.route.empty() && domain.route.front() == SettingsBook::fixed_host)
            return &domain;
    return nullptr;
}

std::string describe(const engine::Settings& settings) {
    std::string text;
    const auto say = [&](const std::string& name, const engine::TotalLimits& total) {
        if (!total.any()) return;
        text +=
            fmt::format("; {} in all {} connections, {}/s, {} connections/s, {} an hour, {} a day",
                        name, total.connections, total.rate_per_second,
                        total.connection_rate_per_second, total.per_hour, total.per_day);
    };
    const engine::Limits& limits = settings.limits;
    text =
        fmt::format("{} connections, {}/s, {} connections/s, {} mails each, tls {}",
                    limits.connections, limits.rate_per_second, limits.connection_rate_per_second,
                    limits.messages_per_connection, static_cast<int>(limits.tls));
    for (const engine::Provider& one : settings.providers) {
        text += fmt::format("; {} ({}) {} connections", one.name, fmt::join(one.mx_suffix, " "),
                            one.limits.connections.value_or(0));
        say(one.name, one.total);
    }
    for (const engine::SourceSettings& one : settings.sources) say("source " + one.name, one.total);
    for (const engine::Pool& one : settings.pools) {
        text += fmt::format("; pool {} of {}", one.name, one.sources.size());
        say("pool " + one.name, one.total);
    }
    for (const char* name : {"t0", "t1", "t2"})
        if (const auto one = settings.tenants.find(name); one != settings.tenants.end())
            say(name, one->second.total);
    if (const engine::DomainSettings* domain = led_domain(settings))
        text += fmt::format("; {} led to {}", domain->name, SettingsBook::fixed_host);
    return text;
}

engine::Limits limits_of(const engine::Settings& settings, const std::string& group) {
    engine::Limits limits = settings.limits;
    if (const engine::Provider* provider = provider_of(settings, group))
        provider->limits.lie_on(limits);
    if (group == SettingsBook::fixed_group)
        if (const engine::DomainSettings* domain = led_domain(settings))
            domain->limits.lie_on(limits);
    return limits;
}

}  // namespace sim

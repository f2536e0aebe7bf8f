#include "tests/sim/plan_settings.h"

#include <algorithm>
#include <array>

namespace sim {

namespace {

using std::chrono::milliseconds;

constexpr std::array source_ips{"10.255.0.1", "10.255.0.2"};
constexpr std::array<const char*, 3> tenants{"t0", "t1", "t2"};

/// Two addresses, named by themselves, and two pools; a reload may take one of the addresses away.
/// What stays keeps its total.
void use_sources(engine::Settings& settings, size_t which) {
    using engine::SourceId;
    struct Way {
        std::vector<size_t> sources;
        std::vector<SourceId> first, second;
    };
    static const std::array<Way, 4> ways{Way{{0, 1}, {0, 1}, {1}}, Way{{0, 1}, {0}, {1}},
                                         Way{{0}, {0}, {0}}, Way{{1}, {0}, {0}}};
    const Way& way = ways.at(which);
    const auto before = std::exchange(settings.sources, {});
    for (const size_t source : way.sources) {
        const char* ip = source_ips.at(source);
        settings.sources.push_back(
            {.name = ip, .address = engine::SocketAddress::from_ip(ip, 0), .ehlo = {}});
        for (const engine::SourceSettings& one : before)
            if (one.name == ip) settings.sources.back().total = one.total;
    }
    settings.pools = {{"default", way.first, settings.pools.front().total},
                      {"second", way.second, settings.pools.back().total}};
}

/// Quotas stay as they are.
void draw_total(World& world, engine::TotalLimits& total) {
    total.connections = world.chance(0.5) ? static_cast<uint32_t>(1 + world.draw(6)) : 0;
    total.rate_per_second = world.chance(0.3) ? 5 + static_cast<double>(world.draw(40)) : 0;
    total.connection_rate_per_second =
        world.chance(0.15) ? 2 + static_cast<double>(world.draw(10)) : 0;
}

/// Of messages alone.
void draw_tenant_total(World& world, engine::TotalLimits& total) {
    total.rate_per_second = world.chance(0.5) ? 5 + static_cast<double>(world.draw(40)) : 0;
}

uint32_t draw_bounces(World& world) {
    return world.chance(0.3) ? UINT32_MAX : static_cast<uint32_t>(world.new_seed());
}

engine::TlsPolicy draw_tls(World& world) {
    using enum engine::TlsPolicy;
    return std::array{
        none,          none,          none,          opportunistic, opportunistic,
        opportunistic, opportunistic, opportunistic, required,      verified}[world.draw(10)];
}

void change_provider(const Plan& plan, World& world, engine::Settings& settings) {
    const std::string group = fmt::format("site{}", world.draw(plan.sites.size()));
    const auto of = std::ranges::find_if(settings.providers, [&](const engine::Provider& one) {
        return std::ranges::find(one.mx_suffix, suffix_of(group)) != one.mx_suffix.end();
    });
    if (of == settings.providers.end())
        settings.providers.push_back({group, {suffix_of(group)}, draw_limits(world)});
    else if (plan.has_quotas || world.chance(0.6))
        of->limits = draw_limits(world);
    else
        settings.providers.erase(of);
}

void change_route(World& world, engine::Settings& settings) {
    if (std::exchange(settings.domains, {}).empty())
        settings.domains.push_back({.name = "d0.test",
                                    .route = {SettingsBook::fixed_host},
                                    .limits = draw_limits(world),
                                    .credentials = {}});
}

void change_dialogue(World& world, engine::Limits& limits) {
    using engine::Depth;
    limits.depth =
        std::array{Depth::lock_step, Depth::envelope, Depth::next, Depth::messages}[world.draw(4)];
    limits.window = static_cast<uint32_t>(1 + world.draw(8));
    limits.idle = milliseconds(1000 + world.draw(20'000));
    limits.messages_per_connection =
        world.chance(0.5) ? static_cast<uint32_t>(1 + world.draw(5)) : 100;
    limits.recipients_per_transaction =
        world.chance(0.5) ? static_cast<uint32_t>(1 + world.draw(10)) : 50;
}

}  // namespace

void draw_totals(World& world, engine::Settings& settings) {
    for (engine::Provider& provider : settings.providers)
        if (world.chance(0.5)) draw_total(world, provider.total);
    for (engine::SourceSettings& source : settings.sources)
        if (world.chance(0.3)) draw_total(world, source.total);
    for (engine::Pool& pool : settings.pools)
        if (world.chance(0.3)) draw_total(world, pool.total);
    for (const char* tenant : tenants)
        if (world.chance(0.3)) draw_tenant_total(world, settings.tenants[tenant].total);
}

void draw_quotas(World& world, engine::Settings& settings) {
    for (size_t left = 1 + world.draw(2); left > 0; --left) {
        engine::TotalLimits* total = &settings.tenants[tenants.at(world.draw(3))].total;
        const size_t of = world.draw(4);
        if (of == 0) total = &settings.sources[world.draw(settings.sources.size())].total;
        if (of == 1) total = &settings.pools[world.draw(settings.pools.size())].total;
        if (of == 2 && !settings.providers.empty())
            total = &settings.providers[world.draw(settings.providers.size())].total;
        (world.chance(0.3) ? total->per_day : total->per_hour) = 5 + world.draw(60);
    }
}

std::shared_ptr<engine::Settings> draw_settings(World& world) {
    auto settings = std::make_shared<engine::Settings>();
    settings->node_name = "out.sender.test";
    settings->allow_addresses = {"10.0.0.0/8"};
    settings->limits.connections = static_cast<uint32_t>(1 + world.draw(4));
    settings->limits.messages_per_connection =
        world.chance(0.5) ? static_cast<uint32_t>(1 + world.draw(5)) : 100;
    settings->limits.rate_per_second = world.chance(0.2) ? 5 : 0;
    settings->limits.connection_rate_per_second = world.chance(0.1) ? 10 : 0;
    if (world.chance(0.2))
        settings->limits.recipients_per_transaction = static_cast<uint32_t>(1 + world.draw(10));
    if (world.chance(0.3)) use_sources(*settings, world.draw(2));
    settings->limits.tls = draw_tls(world);
    if (world.chance(0.4)) settings->suppressed_bounces = draw_bounces(world);
    if (world.chance(0.1)) settings->tenants["t1"].suppressed_bounces = draw_bounces(world);
    using engine::Depth;
    settings->limits.depth = std::array{Depth::lock_step, Depth::envelope, Depth::next, Depth::next,
                                        Depth::messages}[world.draw(5)];
    settings->limits.window = static_cast<uint32_t>(1 + world.draw(8));
    if (world.chance(0.3)) settings->limits.next = engine::SessionPlan::Open::at_once;
    if (world.chance(0.5)) settings->tenants["t0"].weight = 5;
    if (world.chance(0.4)) {
        using enum engine::WhenInDoubt;
        for (engine::WhenInDoubt& policy : settings->in_doubt)
            policy = std::array{retry, hold, assume_delivered}[world.draw(3)];
    }
    settings->timeouts = {.connect = 10s,
                          .banner = 20s,
                          .command = 20s,
                          .tls = 10s,
                          .data = 20s,
                          .body = 20s,
                          .final = 30s,
                          .quit = 5s};
    settings->limits.idle = milliseconds(1000 + world.draw(20'000));
    settings->retry_schedule = {5s, 15s, 40s};
    settings->expires = 10min;
    settings->memory_bytes = world.chance(0.4) ? 64 << 10 : 64 << 20;  // small: windows of 16
    settings->free_disk_min = 1 << 20;
    settings->drain = 30s;
    return settings;
}

engine::LimitLayer draw_limits(World& world) {
    engine::LimitLayer limits{.connections = static_cast<uint32_t>(1 + world.draw(6))};
    if (world.chance(0.2)) limits.rate_per_second = 5 + static_cast<double>(world.draw(10));
    if (world.chance(0.2)) limits.messages_per_connection = 1 + world.draw(3);
    return limits;
}

std::string suffix_of(const std::string& group) {
    return fmt::format(".{}.test", group);
}

void change(const Plan& plan, World& world, engine::Settings& settings) {
    engine::Limits& limits = settings.limits;
    switch (world.draw(9)) {
        case 0:
        case 1:
            limits.connections = static_cast<uint32_t>(1 + world.draw(5));
            return;
        case 2:
            limits.rate_per_second =
                world.chance(0.5) ? 5 + static_cast<double>(world.draw(20)) : 0;
            limits.connection_rate_per_second = world.chance(0.3) ? 10 : 0;
            return;
        case 3:
            return change_dialogue(world, limits);
        case 4:
            limits.tls = world.chance(0.5) ? engine::TlsPolicy::required : draw_tls(world);
            return;
        case 5:
            return change_provider(plan, world, settings);
        case 6:
            if (settings.sources.size() + settings.pools.size() == 2) return;  // without a name
            return use_sources(settings, plan.has_quotas ? world.draw(2) : world.draw(4));
        case 7:
            return change_route(world, settings);
        default:
            draw_totals(world, settings);
            settings.tenants["t0"].weight = 1 + static_cast<double>(world.draw(5));
            settings.suppressed_bounces = draw_bounces(world);
    }
}

}  // namespace sim

#include "tests/sim/plan.h"

#include <algorithm>

#include "engine/delivery/shard_intake.h"
#include "engine/dns/site.h"

namespace sim {

namespace {

using std::chrono::milliseconds;

constexpr size_t moody_deliveries = 2000;

/// Two addresses, named by themselves, and a pool that has only one of them.
void draw_sources(engine::Settings& settings) {
    settings.sources.clear();
    for (const char* ip : {"10.255.0.1", "10.255.0.2"})
        settings.sources.push_back(
            {.name = ip, .address = engine::SocketAddress::from_ip(ip, 0), .ehlo = {}});
    settings.pools = {{"default", {0, 1}}, {"second", {1}}};
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
    if (world.chance(0.3)) draw_sources(*settings);
    using enum engine::TlsPolicy;
    settings->limits.tls = std::array{none,          none,          none,          opportunistic,
                                      opportunistic, opportunistic, opportunistic, opportunistic,
                                      required,      verified}[world.draw(10)];
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

void draw_host(Plan& plan, World& world, Book& book, Weather weather, Host::Names names,
               const std::string& ip) {
    const std::string name = names.host;
    plan.hosts.push_back(std::make_unique<Host>(world, book, std::move(names), draw_manners(world),
                                                plan.settings->limits.tls));
    if (weather == Weather::calm) plan.hosts.back()->heal();
    plan.by_ip[ip] = plan.hosts.back().get();
    plan.zone.address(name, ip, plan.ttl);
}

void draw_hosts(Plan& plan, World& world, Book& book, Weather weather) {
    const size_t sites = 1 + world.draw(4);
    for (size_t site = 0; site < sites; ++site) {
        const std::string group = fmt::format("site{}", site);
        std::vector<engine::MxHost> names;
        for (size_t left = 1 + world.draw(2); left > 0; --left)
            names.push_back({.name = fmt::format("mx{}.{}.test", names.size(), group)});
        plan.site_names.push_back(engine::site_name(names, plan.settings->port));
        plan.sites.emplace_back();
        for (size_t host = 0; host < names.size(); ++host) {
            draw_host(plan, world, book, weather, {names[host].name, group, plan.site_names.back()},
                      fmt::format("10.{}.{}.1", site, host));
            plan.sites.back().push_back(plan.hosts.back().get());
        }
        // Half of the groups have limits of their own.
        engine::Limits limits = plan.settings->limits;
        if (world.chance(0.5)) {
            const engine::LimitLayer own = draw_limits(world);
            own.lie_on(limits);
            plan.settings->providers.push_back({group, {fmt::format(".{}.test", group)}, own});
        }
        book.traffic().limit(group, limits);
    }
    const std::string relay = OrderBook::relay;
    draw_host(plan, world, book, weather, {relay + ".test", relay, ""}, "10.99.0.1");
    book.traffic().limit(relay, plan.settings->limits);
}

void draw_domains(Plan& plan, World& world) {
    const size_t domains = 1 + world.draw(8);
    for (size_t i = 0; i < domains; ++i) {
        const std::string domain = fmt::format("d{}.test", i);
        plan.domains.push_back(domain);
        std::vector<std::string> names;
        for (const Host* host : plan.sites[world.draw(plan.sites.size())])
            names.push_back(host->name());
        plan.zone.mx(domain, std::move(names), plan.ttl);
    }
    if (world.chance(0.3)) {
        plan.domains.emplace_back("null.test");
        plan.zone.null_mx("null.test", plan.ttl);
    }
    if (world.chance(0.3)) plan.domains.emplace_back("nowhere.test");
}

std::string draw_message(World& world, size_t number, bool templated) {
    std::string text = fmt::format(
        "From: News <news@sender.test>\r\nSubject: job {}\r\n\r\n"
        "job:{};\r\n",
        number, number);
    if (templated) text += "to:{{to}}\r\n";
    const size_t lines = world.draw(world.chance(0.1) ? 600 : 20);
    for (size_t i = 0; i < lines; ++i)
        text += std::array{"a line of the mail\r\n",
                           ".dots in front\r\n",
                           ".\r\n",
                           "\r\n",
                           "QUIT\r\n",
                           "RSET\r\n"}[world.draw(6)];
    return text + fmt::format("end of {}.\r\n", number);
}

/// `recipients`: 0 for as many as it draws.
void draw_job(Plan& plan, World& world, Book& book, Nanoseconds until, size_t recipients = 0) {
    JobPlan job;
    JobBook record;
    record.tenant = fmt::format("t{}", world.draw(3));
    record.campaign = job.campaign = world.chance(0.5) ? fmt::format("c{}", world.draw(2)) : "";
    record.klass = job.klass =
        world.chance(0.4) ? storage::Class::transactional : storage::Class::bulk;
    job.pool = plan.settings->pools[world.draw(plan.settings->pools.size())].name;
    job.templated = world.chance(0.5);
    job.at = Nanoseconds(static_cast<int64_t>(world.draw(static_cast<uint64_t>(until.count()))));
    record.expires_in = milliseconds(world.chance(0.3) ? 5'000 + world.draw(60'000)
                                                       : 200'000 + world.draw(400'000));
    if (world.chance(0.2)) {
        // From the beginning of the run on, so also in the past.
        record.send_at = world.wall() + milliseconds(world.draw(200'000));
    }
    if (recipients == 0) recipients = 1 + world.draw(world.chance(0.5) ? 3 : 50);
    for (uint32_t i = 0; i < recipients; ++i) {
        const std::string& domain = plan.domains[world.draw(plan.domains.size())];
        job.domains.push_back(domain);
        Item item;
        item.index = i;
        item.tenant = record.tenant;
        item.domain = domain;
        item.queue = engine::queue_id({record.tenant, job.campaign, job.klass, domain});
        item.refused = domain == "null.test" || domain == "nowhere.test";
        record.items.push_back(std::move(item));
    }
    for (size_t left = recipients; left > 0;) {
        const size_t part = world.chance(0.7) ? left : 1 + world.draw(left);
        job.parts.push_back(static_cast<uint32_t>(part));
        left -= part;
    }
    job.number = book.add_job(std::move(record));
    JobBook& added = book.job(job.number);
    for (Item& item : added.items) {
        item.job = job.number;
        item.address = Book::address_of(job.number, item.index, job.domains[item.index]);
    }
    job.sender = Book::sender_of(job.number);
    job.message = draw_message(world, job.number, job.templated);
    plan.jobs.push_back(std::move(job));
}

void draw_troubles(Plan& plan, World& world) {
    const auto some = [&](Fault kind, size_t most) {
        for (size_t left = world.draw(most + 1); left > 0; --left)
            plan.troubles.push_back({kind,
                                     Nanoseconds(static_cast<int64_t>(
                                         world.draw(static_cast<uint64_t>(plan.heal_at.count())))),
                                     world.new_seed()});
    };
    // A restart costs the most real time, so a run has few of them.
    constexpr std::array restarts{Fault::drain,     Fault::kill,          Fault::kill_at_work,
                                  Fault::power_cut, Fault::power_at_sync, Fault::disk_error};
    const size_t count = world.draw(3);
    for (size_t i = 0; i < count; ++i) some(restarts[world.draw(restarts.size())], 1);
    some(Fault::disk_full, 1);
    some(Fault::host_down, 2);
    some(Fault::dns_down, 1);
    some(Fault::new_route, 2);
    if (world.chance(0.5)) some(Fault::suspension, 4);
    if (world.chance(0.3)) some(Fault::detour, 2);
    if (world.chance(0.5)) some(Fault::cancellation, 4);
    if (world.chance(0.3)) some(Fault::clock_forwards, 1);
    if (world.chance(0.3)) some(Fault::clock_backwards, 1);
}

}  // namespace

bool Plan::clock_is_set() const {
    return std::ranges::any_of(troubles, [](const Trouble& trouble) {
        return trouble.kind == Fault::clock_forwards || trouble.kind == Fault::clock_backwards;
    });
}

Plan draw_plan(World& world, Book& book, Weather weather) {
    Plan plan;
    plan.shards = static_cast<engine::ShardId>(1 + world.draw(3));
    plan.settings = draw_settings(world);
    plan.ttl = static_cast<uint32_t>(world.chance(0.5) ? 5 + world.draw(20) : 300);
    draw_hosts(plan, world, book, weather);
    draw_domains(plan, world);
    plan.heal_at = world.some_time(20s, 300s);
    if (weather == Weather::moody) {
        plan.heal_at = 60s;
        for (size_t left = moody_deliveries; left > 0;) {
            const size_t recipients = world.chance(0.9) ? 1 : std::min<size_t>(left, 50);
            draw_job(plan, world, book, plan.heal_at / 2, recipients);
            left -= recipients;
        }
        return plan;
    }
    const size_t jobs = 1 + world.draw(12);
    for (size_t i = 0; i < jobs; ++i) draw_job(plan, world, book, plan.heal_at);
    if (weather == Weather::calm) return plan;
    plan.zone.failing = world.chance(0.2) ? 0.2 : 0;
    plan.zone.slow = world.chance(0.2) ? 0.2 : 0;
    draw_troubles(plan, world);
    return plan;
}

}  // namespace sim

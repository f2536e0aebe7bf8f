#include "tests/sim/plan.h"

#include <algorithm>

#include "engine/delivery/shard_intake.h"
#include "engine/dns/site.h"
#include "tests/sim/plan_settings.h"

namespace sim {

namespace {

using std::chrono::milliseconds;

constexpr size_t moody_deliveries = 2000;

void draw_host(Plan& plan, World& world, Book& book, Host::Names names, const std::string& ip) {
    const std::string name = names.host;
    plan.hosts.push_back(
        std::make_unique<Host>(world, book, std::move(names), draw_manners(world)));
    plan.by_ip[ip] = plan.hosts.back().get();
    plan.zone.address(name, ip, plan.ttl);
}

void draw_hosts(Plan& plan, World& world, Book& book, engine::Settings& settings) {
    const size_t sites = 1 + world.draw(4);
    for (size_t site = 0; site < sites; ++site) {
        const std::string group = fmt::format("site{}", site);
        std::vector<engine::MxHost> names;
        for (size_t left = 1 + world.draw(2); left > 0; --left)
            names.push_back({.name = fmt::format("mx{}.{}.test", names.size(), group)});
        plan.site_names.push_back(engine::site_name(names, settings.port));
        plan.sites.emplace_back();
        for (size_t host = 0; host < names.size(); ++host) {
            draw_host(plan, world, book, {names[host].name, group, plan.site_names.back()},
                      fmt::format("10.{}.{}.1", site, host));
            plan.sites.back().push_back(plan.hosts.back().get());
        }
        // Half of the groups have limits of their own, a few share them.
        if (!world.chance(0.5)) continue;
        if (!settings.providers.empty() && world.chance(0.3))
            settings.providers.back().mx_suffix.push_back(suffix_of(group));
        else
            settings.providers.push_back({group, {suffix_of(group)}, draw_limits(world)});
    }
    const std::string relay = OrderBook::relay;
    draw_host(plan, world, book, {relay + ".test", relay, ""}, "10.99.0.1");
    draw_host(plan, world, book,
              {SettingsBook::fixed_host, SettingsBook::fixed_group, "domain:d0.test"}, "10.98.0.1");
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
    record.pool = job.pool = plan.settings->pools[world.draw(plan.settings->pools.size())].name;
    // Some write to the recipients of an earlier job, as lists see them.
    const JobPlan* twin = nullptr;
    if (!plan.jobs.empty() && world.chance(0.3)) {
        const size_t root = book.job(world.draw(plan.jobs.size())).root;
        JobBook& first = book.job(root);
        const size_t others = static_cast<size_t>(std::ranges::count_if(
            plan.jobs, [&](const JobPlan& one) { return book.job(one.number).root == root; }));
        if (others < Book::spellings) {
            twin = &plan.jobs[root];
            record.root = root;
            record.spelling = static_cast<unsigned>(others);
            if (world.chance(0.7)) record.tenant = first.tenant;
        }
    }
    record.klass = job.klass =
        world.chance(0.4) ? storage::Class::transactional : storage::Class::bulk;
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
        const bool same = twin && i < twin->domains.size();
        const std::string domain =
            same ? twin->domains[i] : plan.domains[world.draw(plan.domains.size())];
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
        item.address = Book::address_of(added, item.index, job.domains[item.index]);
    }
    job.sender = Book::sender_of(job.number);
    job.message = draw_message(world, job.number, job.templated);
    plan.jobs.push_back(std::move(job));
}

void draw_some(Plan& plan, World& world, Fault kind, size_t most) {
    for (size_t left = world.draw(most + 1); left > 0; --left)
        plan.troubles.push_back({kind,
                                 Nanoseconds(static_cast<int64_t>(
                                     world.draw(static_cast<uint64_t>(plan.heal_at.count())))),
                                 world.new_seed()});
}

void draw_troubles(Plan& plan, World& world) {
    const auto some = [&](Fault kind, size_t most) { draw_some(plan, world, kind, most); };
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
    if (plan.has_quotas) return;  // hours come in order
    if (world.chance(0.3)) some(Fault::clock_forwards, 1);
    if (world.chance(0.3)) some(Fault::clock_backwards, 1);
}

void draw_reloads(Plan& plan, World& world, Nanoseconds until, size_t count) {
    std::vector<Nanoseconds> times;
    for (size_t left = count; left > 0; --left)
        times.emplace_back(static_cast<int64_t>(world.draw(static_cast<uint64_t>(until.count()))));
    // Half of them while a job is being sent.
    for (Nanoseconds& at : times)
        if (world.chance(0.5))
            at = plan.jobs[world.draw(plan.jobs.size())].at + world.some_time(1ms, 20s);
    std::ranges::sort(times);
    Snapshot before = plan.settings;
    for (const Nanoseconds at : times) {
        auto next = std::make_shared<engine::Settings>(*before);
        for (size_t left = 1 + world.draw(3); left > 0; --left) change(plan, world, *next);
        plan.reloads.push_back({at, next});
        before = next;
    }
}

/// What an operator does, and nothing that goes wrong.
void draw_changes(Plan& plan, World& world) {
    if (world.chance(0.5)) {
        draw_some(plan, world, Fault::listed, 4);
        draw_some(plan, world, Fault::unlisted, 2);
    }
    // Some when all is well again: then what must follow is seen at once.
    if (world.chance(0.4)) draw_reloads(plan, world, plan.heal_at + 40s, 1 + world.draw(4));
}

/// An hour, or a day, that is over soon.
void draw_clock(Plan& plan, World& world, double quotas) {
    plan.has_quotas = world.chance(quotas);
    if (!plan.has_quotas) return;
    using std::chrono::hours;
    const WallTime end = world.chance(0.3) ? std::chrono::ceil<std::chrono::days>(world.wall())
                                           : std::chrono::ceil<hours>(world.wall());
    world.begin_at(end - std::chrono::floor<milliseconds>(world.some_time(20s, 200s)));
}

}  // namespace

bool Plan::clock_is_set() const {
    return std::ranges::any_of(troubles, [](const Trouble& trouble) {
        return trouble.kind == Fault::clock_forwards || trouble.kind == Fault::clock_backwards;
    });
}

bool Plan::demands_tls() const {
    const auto demands = [](const Snapshot& one) {
        return one->limits.tls >= engine::TlsPolicy::required;
    };
    return demands(settings) || std::ranges::any_of(reloads, demands, &Reload::settings);
}

Nanoseconds Plan::pace() const {
    // A connection for each mail, and each answer late.
    constexpr double seconds_of_connection = 3;
    double slowest = 0;
    const auto look = [&](const engine::TotalLimits& total) {
        if (total.connections > 0)
            slowest = std::max(slowest, seconds_of_connection / total.connections);
        for (const double rate : {total.rate_per_second, total.connection_rate_per_second})
            if (rate > 0) slowest = std::max(slowest, 1 / rate);
    };
    const auto look_at = [&](const engine::Settings& one) {
        for (const auto& provider : one.providers) look(provider.total);
        for (const auto& source : one.sources) look(source.total);
        for (const auto& pool : one.pools) look(pool.total);
        for (const auto& [name, tenant] : one.tenants) look(tenant.total);
    };
    const auto look_at_all = [&](const engine::Settings& one) {
        if (one.limits.rate_per_second > 0)
            slowest = std::max(slowest, 1 / one.limits.rate_per_second);
        look_at(one);
    };
    look(node);
    look_at_all(*settings);
    for (const Reload& reload : reloads) look_at_all(*reload.settings);
    return Nanoseconds(static_cast<int64_t>(slowest * 1e9));
}

Plan draw_plan(World& world, Book& book, Weather weather) {
    Plan plan;
    const bool restless = weather == Weather::restless;
    if (weather != Weather::moody) draw_clock(plan, world, restless ? 0.3 : 0.08);
    plan.shards = static_cast<engine::ShardId>(1 + world.draw(3));
    const std::shared_ptr<engine::Settings> settings = draw_settings(world);
    plan.settings = settings;
    plan.ttl = static_cast<uint32_t>(world.chance(0.5) ? 5 + world.draw(20) : 300);
    draw_hosts(plan, world, book, *settings);
    draw_domains(plan, world);
    if (world.chance(restless ? 0.8 : 0.4)) {
        draw_totals(world, *settings);
        if (world.chance(0.2)) plan.node.connections = static_cast<uint32_t>(2 + world.draw(8));
        book.traffic().node_allows(plan.node.connections);
    }
    if (plan.has_quotas) draw_quotas(world, *settings);
    plan.heal_at = restless ? world.some_time(50s, 120s) : world.some_time(20s, 300s);
    if (weather == Weather::moody) {
        plan.heal_at = 60s;
        for (size_t left = moody_deliveries; left > 0;) {
            const size_t recipients = world.chance(0.9) ? 1 : std::min<size_t>(left, 50);
            draw_job(plan, world, book, plan.heal_at / 2, recipients);
            left -= recipients;
        }
        return plan;
    }
    // In some runs there is work all the time.
    const bool is_busy = restless || world.chance(0.2);
    if (is_busy) {
        if (world.chance(0.6))
            settings->limits.rate_per_second = 5 + static_cast<double>(world.draw(10));
        for (size_t left = 2 + world.draw(4); left > 0; --left)
            draw_job(plan, world, book, 10s, 50 + world.draw(100));
    }
    const size_t jobs = 1 + world.draw(is_busy ? 4 : 12);
    for (size_t i = 0; i < jobs; ++i) draw_job(plan, world, book, plan.heal_at);
    draw_changes(plan, world);
    if (restless) {
        plan.reloads.clear();
        draw_reloads(plan, world, plan.heal_at, 3 + world.draw(5));
        for (size_t left = world.chance(0.5) ? 2 : 0; left > 0; --left)
            draw_some(plan, world,
                      std::array{Fault::drain, Fault::kill, Fault::kill_at_work}[world.draw(3)], 1);
    }
    if (is_prompt(weather)) {
        for (const auto& host : plan.hosts)
            host->heal(plan.demands_tls() ? Host::Tls::demanded : Host::Tls::as_it_likes);
        return plan;
    }
    plan.zone.failing = world.chance(0.2) ? 0.2 : 0;
    plan.zone.slow = world.chance(0.2) ? 0.2 : 0;
    draw_troubles(plan, world);
    return plan;
}

}  // namespace sim

#include "tests/sim/run.h"

#include <algorithm>

#include "metrics/check.h"
#include "tests/sim/disk.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"
#include "tests/sim/plan.h"

namespace sim {

namespace {

using Kind = Trouble::Kind;

// Everything that was accepted has ended so long after its expiry at the latest, when nothing goes
// wrong any more: the holds of a site and the time that a stuck connection takes to be given up.
constexpr auto finish_grace = 3min;
// What has that long to live when all is well again must not expire.
constexpr auto life_enough = 3min;
// Of a drain beyond its patience: what was cut comes home, the last commits.
constexpr auto drain_grace = 12s;
constexpr auto drain_margin = 4s;  // as in ingest/node_shard.cc
// More steps without a millisecond passing are a loop.
constexpr uint64_t steps_at_a_time_max = 100'000;

const char* name_of(Kind kind) {
    constexpr std::array names{"drain",      "kill",      "kill at work", "power cut",
                               "power at sync", "disk error", "disk full",    "host down",
                               "dns down",   "new route"};
    return names[static_cast<size_t>(kind)];
}

const World* current = nullptr;

class Run {
  public:
    explicit Run(const RunOptions& options)
        : options_(options),
          world_(options.seed),
          book_(world_),
          plan_(draw_plan(world_, book_, options.calm ? Weather::calm : Weather::rough)),
          network_(world_, [this](const engine::SocketAddress& to, std::shared_ptr<Link> link) {
              return connect(to, std::move(link));
          }) {
        current = &world_;
        if (options.print) world_.print_all();
        network_.on_connections([this](const std::string& group, size_t count) {
            if (count > plan_.limits[group])
                world_.fail("a site's limit of connections",
                            fmt::format("{} has {} of {}", group, count, plan_.limits[group]));
        });
    }

    ~Run() { current = nullptr; }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    RunResult run();

  private:
    enum class Restart : uint8_t { none, clean, kill, power };

    Answer connect(const engine::SocketAddress& to, std::shared_ptr<Link> link);
    void start();
    void stop(Restart how);
    void drain();
    void schedule();
    void make(const Trouble& trouble);
    bool after_work();
    void heal();
    /// One thing happens. False: nothing would before `until`.
    bool step(Instant until);
    template <class Done> void run_until(Instant until, Done done);
    void handle_restart();

    const RunOptions options_;
    World world_;
    Book book_;
    Plan plan_;
    Network network_;
    Disk disk_;
    std::unique_ptr<storage::Store> store_;
    std::unique_ptr<Node> node_;
    Restart restart_ = Restart::none;  // that is due
    bool kill_after_work_ = false;
    bool storage_broke_ = false;  // in this boot
    bool healed_ = false;
    Instant began_{};
    uint64_t steps_ = 0;
    std::map<std::string, uint64_t> troubles_;
};

Answer Run::connect(const engine::SocketAddress& to, std::shared_ptr<Link> link) {
    const auto host = plan_.by_ip.find(to.ip());
    if (host == plan_.by_ip.end()) {
        world_.fail("only known hosts are dialled", to.to_string());
        return {.kind = Answer::Kind::refuse};
    }
    return host->second->connect(std::move(link));
}

void Run::start() {
    auto opened = disk_.open();
    if (!opened) {
        world_.fail("a store opens again", opened.error().what);
        return;
    }
    store_ = std::move(*opened);
    storage_broke_ = false;
    world_.trace("boot");
    book_.booted(*store_);
    book_.check_restart(*store_);
    if (world_.failure()) return;
    node_ = std::make_unique<Node>(NodeParts{world_, network_, book_, plan_, *store_,
                                             [this] { return after_work(); }});
}

/// After each piece of work on a store.
bool Run::after_work() {
    if (disk_.powered()) book_.poll(*store_);
    if (!disk_.powered()) {
        restart_ = Restart::power;
        return false;
    }
    if (!store_->healthy()) storage_broke_ = true;
    if (std::exchange(kill_after_work_, false)) {
        restart_ = Restart::kill;
        return false;
    }
    return true;
}

void Run::schedule() {
    for (const JobPlan& job : plan_.jobs) {
        world_.at(began_ + job.at, [this, &job] {
            if (node_) node_->submit(world_.draw(64), job);
        });
    }
    for (const Trouble& trouble : plan_.troubles)
        world_.at(began_ + trouble.at, [this, &trouble] { make(trouble); });
    world_.at(began_ + plan_.heal_at, [this] { heal(); });
}

void Run::make(const Trouble& trouble) {
    if (!node_ || node_->draining() || healed_) return;
    ++troubles_[name_of(trouble.kind)];
    world_.trace("trouble: {}", name_of(trouble.kind));
    const Nanoseconds length = world_.some_time(1s, 40s);
    switch (trouble.kind) {
        case Kind::drain:
            return drain();
        case Kind::kill:
            restart_ = Restart::kill;
            return;
        case Kind::kill_at_work:
            kill_after_work_ = true;
            return;
        case Kind::power_cut:
            restart_ = Restart::power;
            return;
        case Kind::power_at_sync:
            return disk_.cut_power_in_log(trouble.choice);
        case Kind::disk_error:
            disk_.fail_log(trouble.choice);
            world_.after(length, [this] {
                // An operator sees that it takes no writes any more, and starts it again.
                if (node_ && !node_->draining() && storage_broke_) drain();
            });
            return;
        case Kind::disk_full:
            disk_.fill();
            world_.after(length, [this] { disk_.heal(); });
            return;
        case Kind::host_down: {
            Host* host = plan_.hosts[trouble.choice % plan_.hosts.size()].get();
            host->down(true);
            world_.after(length, [host] { host->down(false); });
            return;
        }
        case Kind::dns_down:
            plan_.zone.failing = 1;
            world_.after(length, [this] { plan_.zone.failing = 0; });
            return;
        case Kind::new_route: {
            std::vector<std::string> names;
            for (const Host* host : plan_.sites[trouble.choice % plan_.sites.size()])
                names.push_back(host->name());
            plan_.zone.mx(plan_.domains.front(), std::move(names), plan_.ttl);
            return;
        }
    }
}

void Run::heal() {
    healed_ = true;
    world_.trace("all is well from now on");
    for (const auto& host : plan_.hosts) host->heal();
    plan_.zone.failing = plan_.zone.slow = 0;
    network_.heal();
    disk_.heal();
    kill_after_work_ = false;
    book_.healed(life_enough);
    if (node_ && !node_->draining() && storage_broke_) drain();
}

void Run::drain() {
    const Nanoseconds patience = plan_.settings->drain - drain_margin;
    node_->drain(patience);
    world_.after(patience + drain_grace, [this, boot = book_.boot()] {
        if (node_ && book_.boot() == boot)
            world_.fail("a drain ends in time",
                        fmt::format("it still runs {} s after its deadline",
                                    std::chrono::ceil<std::chrono::seconds>(drain_grace).count()));
    });
    restart_ = Restart::clean;
}

void Run::stop(Restart how) {
    if (how == Restart::clean) {
        node_->check_at_rest();
        if (world_.failure()) {
            node_->die();
            bury(std::move(node_));
        }
        book_.stopped(storage_broke_);
        node_.reset();
    } else {
        node_->die();
        bury(std::move(node_));
        book_.stopped(true);
    }
    world_.trace("stopped");
    if (how == Restart::power) disk_.cut_power();
    store_.reset();
    if (how == Restart::power) disk_.restore_power(world_.new_seed());
    kill_after_work_ = false;
}

void Run::handle_restart() {
    if (restart_ == Restart::none) return;
    if (restart_ == Restart::clean && !node_->drained()) return;
    stop(std::exchange(restart_, Restart::none));
    if (!world_.failure()) start();
}

bool Run::step(Instant until) {
    ++steps_;
    const std::vector<Reactor*> runnable = node_->runnable();
    const auto event = world_.next_event();
    const bool event_is_due = event && *event <= world_.now();
    if (!runnable.empty() && !(event_is_due && world_.chance(0.5))) {
        runnable[world_.draw(runnable.size())]->turn(until);
        // A turn takes its time, now and then a long one.
        world_.move_to(world_.now() +
                       world_.some_time(1us, world_.chance(0.01) ? 20ms : 100us));
        return true;
    }
    const Instant expiry = node_->next_expiry();
    const Instant next = std::min(event.value_or(Instant::max()), expiry);
    if (next > until) {
        world_.move_to(until);
        return false;
    }
    if (event && *event <= expiry)
        world_.run_next_event();
    else
        world_.move_to(expiry);
    return true;
}

template <class Done> void Run::run_until(Instant until, Done done) {
    Instant seen = world_.now();
    uint64_t steps = 0;
    while (!world_.failure() && node_ && !done() && step(until)) {
        handle_restart();
        if (world_.now() > seen + 1ms) {
            seen = world_.now();
            steps = 0;
        } else if (++steps > steps_at_a_time_max) {
            world_.fail("time goes on", "the shards turn and turn");
        }
    }
}

RunResult Run::run() {
    began_ = world_.now();
    world_.trace("seed {}: {} shards, {} hosts, {} domains, {} jobs, {} troubles", options_.seed,
                 plan_.shards, plan_.hosts.size(), plan_.domains.size(), plan_.jobs.size(),
                 plan_.troubles.size());
    start();
    schedule();
    run_until(began_ + plan_.heal_at + 1s, [] { return false; });
    // Until the last one has ended; none may live longer than its expiry.
    Instant last = world_.now();
    for (const JobPlan& job : plan_.jobs) {
        const JobBook& record = book_.job(job.number);
        Instant due = began_ + job.at;
        if (record.send_at)
            due = std::max(due, world_.now() + (*record.send_at - world_.wall()));
        last = std::max(last, due + record.expires_in);
    }
    const auto done = [this] { return book_.all_ended() && restart_ == Restart::none; };
    run_until(last + finish_grace, done);
    if (!world_.failure() && !done())
        world_.fail("everything ends", fmt::format("{} are open: {}", book_.open(),
                                                   book_.describe_open()));
    if (!world_.failure()) {
        drain();
        run_until(world_.now() + 2 * plan_.settings->drain, [this] { return node_->drained(); });
        // The store is opened once more: it holds what the last node left.
        if (!world_.failure()) handle_restart();
    }
    RunResult result{.seed = options_.seed,
                     .failure = world_.failure(),
                     .trace_hash = world_.trace_hash(),
                     .steps = steps_,
                     .lines = world_.lines(),
                     .simulated = world_.now() - began_,
                     .totals = book_.totals(),
                     .connections = network_.connections(),
                     .restarts = book_.boot() - 1,
                     .troubles = troubles_};
    if (result.failure) result.last_lines = world_.last_lines();
    if (node_) {
        node_->die();
        bury(std::move(node_));
    }
    store_.reset();
    return result;
}

}  // namespace

RunResult run(const RunOptions& options) {
    return Run(options).run();
}

std::string lines_of_this_run() {
    return current ? current->last_lines() : std::string();
}

}  // namespace sim

#include "tests/sim/run.h"

#include <algorithm>

#include "engine/delivery/in_doubt.h"
#include "tests/sim/running.h"

namespace sim {

namespace {

// Everything that was accepted has ended so long after its expiry at the latest, when nothing goes
// wrong any more: the holds of a site and the time that a stuck connection takes to be given up.
constexpr auto finish_grace = 3min;
// What has that long to live when all is well again must not expire.
constexpr auto life_enough = 3min;
// Of a drain beyond its patience: what was cut comes home, the last commits.
constexpr auto drain_grace = 12s;
// So long after all is well what was begun before has ended.
constexpr auto prompt_after = 150s;
constexpr auto drain_margin = 4s;  // as in ingest/node_shard.cc
// How long whoever watches over the node waits before it starts one again that did not.
constexpr Nanoseconds start_again_after = 2s;
constexpr size_t in_doubt_slots = 1024;  // of a shard
// More steps without a millisecond passing are a loop.
constexpr uint64_t steps_at_a_time_max = 100'000;

const World* current = nullptr;

}  // namespace

Run::Run(const RunOptions& options)
    : options_(options),
      world_(options.seed),
      book_(world_),
      plan_(draw_plan(world_, book_, options.weather)),
      network_(world_, [this](const engine::SocketAddress& to, std::shared_ptr<Link> link) {
          return connect(to, std::move(link));
      }) {
    current = &world_;
    if (options.print) world_.print_all();
    network_.on_connections([this](const Network::Seen& seen) {
        if (seen.opened)
            book_.traffic().opened(seen.socket, seen.group, seen.source);
        else
            book_.traffic().closed(seen.socket);
    });
}

Run::~Run() {
    current = nullptr;
}

Answer Run::connect(const engine::SocketAddress& to, std::shared_ptr<Link> link) {
    const auto host = plan_.by_ip.find(to.ip());
    if (host == plan_.by_ip.end()) {
        world_.fail("only known hosts are dialled", to.to_string());
        return {.kind = Answer::Kind::refuse};
    }
    return host->second->connect(std::move(link));
}

void Run::start() {
    const uint64_t faults_before = disk_.faults();
    auto opened = disk_.open();
    if (!opened) {
        // No store opens on a disk that takes nothing; once it does again, it must.
        if (disk_.faults() == faults_before)
            return world_.fail("a store opens again", opened.error().what);
        world_.trace("no start: error {}", static_cast<int>(opened.error().code));
        return start_again();
    }
    store_ = std::move(*opened);
    storage_broke_ = false;
    world_.clock_begins();
    booted_at_ = world_.now();
    faults_at_boot_ = disk_.faults();
    world_.trace("boot");
    book_.settings().boots(plan_.settings);
    book_.booted(*store_);
    book_.check_restart(*store_);
    if (world_.failure()) return;
    storage::Result<Node::Queues> queues = std::unexpected(storage::Error{});
    if (settle_in_doubt()) queues = store_->queues();
    if (!queues) {
        if (disk_.faults() == faults_before)
            return world_.fail("a store that opens can be used", queues.error().what);
        store_.reset();
        return start_again();
    }
    node_ = std::make_unique<Node>(NodeParts{world_, network_, book_, plan_, *store_, in_doubt_,
                                             [this] { return after_work(); }},
                                   std::move(*queues));
}

/// Whoever watches over the node sees that it did not start.
void Run::start_again() {
    if (!disk_.powered()) disk_.restore_power(world_.new_seed());
    world_.after(start_again_after, [this] { start(); });
}

/// As the daemon does it before any shard runs (ingest/daemon.cc).
bool Run::settle_in_doubt() {
    std::vector<storage::InDoubt> left;
    for (const auto& slots : in_doubt_) {
        storage::InDoubtLeft of_shard = storage::read_slots(slots);
        if (of_shard.damaged > 0)
            world_.fail("the journal is whole", fmt::format("{} slots are not", of_shard.damaged));
        left.insert(left.end(), of_shard.entries.begin(), of_shard.entries.end());
    }
    std::ranges::sort(left);
    std::mt19937_64 random(world_.new_seed());
    const auto cause =
        last_stop_ == Restart::power ? engine::DoubtCause::power : engine::DoubtCause::crash;
    const auto settled = engine::settle_in_doubt(std::move(left), cause, *store_, *plan_.settings,
                                                 registry_, world_.wall(), random);
    if (!settled) return false;
    book_.poll(*store_);
    in_doubt_.clear();
    for (engine::ShardId shard = 0; shard < plan_.shards; ++shard)
        in_doubt_.emplace_back(in_doubt_slots);
    return true;
}

/// The machine dies: the disk has the journal as it was some moments before.
void Run::forget_in_doubt() {
    const double kept = std::array{0.0, 0.5, 1.0}[world_.draw(3)];
    for (auto& slots : in_doubt_)
        for (auto& slot : slots)
            if (slot.seal != 0 && !world_.chance(kept)) slot.seal = 0;
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
    for (const Plan::Reload& one : plan_.reloads)
        world_.at(began_ + one.at, [this, &one] { reload(one); });
    world_.at(began_ + plan_.heal_at, [this] { heal(); });
    watch_store();
}

void Run::heal() {
    healed_ = true;
    world_.trace("all is well from now on");
    for (const auto& host : plan_.hosts)
        host->heal(plan_.demands_tls() ? Host::Tls::demanded : Host::Tls::as_it_likes);
    plan_.zone.failing = plan_.zone.slow = 0;
    network_.heal();
    disk_.heal();
    cut_power_later();  // healing has forgotten it
    kill_after_work_ = false;
    if (world_.jumped() != 0ms) world_.jump(-world_.jumped());
    // So much mail at once may take the hosts longer than it has to live, and what a quota has no
    // room for waits for the next hour, or day.
    const auto life =
        std::chrono::ceil<std::chrono::milliseconds>(life_enough + book_.open() * plan_.pace());
    if (options_.weather != Weather::moody && !plan_.has_quotas) book_.healed(life);
    if (options_.weather == Weather::rough) lift_suspensions();
    if (node_ && !node_->draining() && storage_broke_) drain();
}

void Run::cut_power_later() {
    const uint64_t synced = disk_.log_syncs();
    if (options_.cut_at_sync > synced) disk_.cut_power_at_sync(options_.cut_at_sync - synced);
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
        node_->check_at_rest(outcomes_lost());
        if (world_.failure()) {
            node_->die();
            bury(std::move(node_));
        }
        book_.stopped(outcomes_lost() ? Book::Lost::outcomes : Book::Lost::nothing);
        node_.reset();
    } else {
        node_->die();
        bury(std::move(node_));
        book_.stopped(how == Restart::power ? Book::Lost::machine : Book::Lost::outcomes);
    }
    world_.trace("stopped");
    last_stop_ = how;
    if (how == Restart::power) disk_.cut_power();
    if (how == Restart::power) forget_in_doubt();
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
    const std::vector<Reactor*> runnable = node_ ? node_->runnable() : std::vector<Reactor*>();
    const auto event = world_.next_event();
    const bool event_is_due = event && *event <= world_.now();
    if (!runnable.empty() && !(event_is_due && world_.chance(0.5))) {
        runnable[world_.draw(runnable.size())]->turn(until);
        // A turn takes its time, now and then a long one.
        world_.move_to(world_.now() + world_.some_time(1us, world_.chance(0.01) ? 20ms : 100us));
        return true;
    }
    const Instant expiry = node_ ? node_->next_expiry() : Instant::max();
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

template <class Done>
void Run::run_until(Instant until, Done done) {
    Instant seen = world_.now();
    uint64_t steps = 0;
    while (!world_.failure() && !done() && step(until)) {
        handle_restart();
        if (world_.now() > seen + 1ms) {
            seen = world_.now();
            steps = 0;
        } else if (++steps > steps_at_a_time_max) {
            world_.fail("time goes on", "the shards turn and turn");
        }
    }
}

/// Until then everything has ended; nothing may live longer than its expiry.
Instant Run::finish_by() const {
    const Instant well_since = std::max(began_ + plan_.heal_at, booted_at_);
    if (book_.all_ended()) return world_.now() + finish_grace;
    Nanoseconds left = book_.last_expiry() - world_.engine_wall();
    if (left > 0ns) left = left * 10 / 9;  // its clock may run a tenth slower
    return std::max(world_.now() + left, well_since) + finish_grace;
}

RunResult Run::run() {
    began_ = world_.now();
    book_.traffic().begins();
    if (is_prompt(options_.weather))
        book_.settings().prompt_from(began_);
    else
        book_.settings().prompt_from(began_ + plan_.heal_at + prompt_after);
    world_.trace("seed {}: {} shards, {} hosts, {} domains, {} jobs, {} troubles", options_.seed,
                 plan_.shards, plan_.hosts.size(), plan_.domains.size(), plan_.jobs.size(),
                 plan_.troubles.size());
    cut_power_later();
    start();
    schedule();
    run_until(began_ + plan_.heal_at + 1s, [] { return false; });
    const auto done = [this] { return node_ && book_.all_ended() && restart_ == Restart::none; };
    // A restart may have begun with another clock: then that one counts.
    while (!world_.failure() && !done() && world_.now() < finish_by()) run_until(finish_by(), done);
    if (!world_.failure() && !done())
        world_.fail("everything ends",
                    fmt::format("{} are open: {}", book_.open(), book_.describe_open()));
    if (!world_.failure()) {
        drain();
        run_until(world_.now() + 2 * plan_.settings->drain,
                  [this] { return restart_ == Restart::none; });
        // The store is opened once more: it holds what the last node left.
        if (!world_.failure()) handle_restart();
        // It may take more than one try, where a fault fell into that.
        run_until(world_.now() + 2 * start_again_after, [this] { return node_ != nullptr; });
        if (!world_.failure() && !node_) world_.fail("the store opens at the end", "");
    }
    if (!world_.failure() && options_.cut_at_sync > 0 && disk_.faults() == 0)
        world_.fail("the power is cut",
                    fmt::format("the log was synced only {} times", disk_.log_syncs()));
    book_.traffic().check_rates();
    RunResult result{.seed = options_.seed,
                     .failure = world_.failure(),
                     .trace_hash = world_.trace_hash(),
                     .steps = steps_,
                     .lines = world_.lines(),
                     .simulated = world_.now() - began_,
                     .totals = book_.totals(),
                     .connections = network_.connections(),
                     .restarts = book_.boot() - 1};
    world_.count(Fault::disk_operation, disk_.faults());
    result.faults = world_.faults();
    result.log_syncs = disk_.log_syncs();
    if (result.failure) result.last_lines = world_.last_lines();
    if (node_) {
        node_->die();
        bury(std::move(node_));
    }
    store_.reset();
    return result;
}

RunResult run(const RunOptions& options) {
    return Run(options).run();
}

std::string lines_of_this_run() {
    return current ? current->last_lines() : std::string();
}

}  // namespace sim

// Run: what one seed's run has, and what it does.
#pragma once

#include <memory>
#include <vector>

#include "tests/sim/disk.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"
#include "tests/sim/plan.h"
#include "tests/sim/run.h"

namespace sim {

class Run {
  public:
    explicit Run(const RunOptions& options);
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    RunResult run();

  private:
    enum class Restart : uint8_t { none, clean, kill, power };

    // run.cc: a node from its start to its end
    Answer connect(const engine::SocketAddress& to, std::shared_ptr<Link> link);
    void start();
    void start_again();
    bool settle_in_doubt();
    void forget_in_doubt();
    void stop(Restart how);
    void drain();
    void schedule();
    bool after_work();
    /// A node that ends while its disk takes nothing cannot record what it knows.
    bool outcomes_lost() const { return storage_broke_ || disk_.faults() > faults_at_boot_; }
    void heal();
    void cut_power_later();
    Instant finish_by() const;
    /// One thing happens. False: nothing would before `until`.
    bool step(Instant until);
    template <class Done>
    void run_until(Instant until, Done done);
    void handle_restart();

    // run_troubles.cc: what is done to it
    void make(const Trouble& trouble);
    engine::Reach draw_reach(Fault kind);
    void order(const Trouble& trouble, Nanoseconds length);
    void lift_suspensions();
    void change_list(Fault kind);
    void reload(const Plan::Reload& reload);
    void watch_store();

    const RunOptions options_;
    World world_;
    Book book_;
    Plan plan_;
    Network network_;
    Disk disk_;
    std::vector<std::vector<storage::InDoubtJournal::Slot>> in_doubt_;  // by shard
    std::unique_ptr<storage::Store> store_;
    std::unique_ptr<Node> node_;
    metrics::Registry registry_;       // of what happens before a node runs
    Restart restart_ = Restart::none;  // that is due
    Restart last_stop_ = Restart::none;
    bool kill_after_work_ = false;
    bool storage_broke_ = false;  // in this boot
    uint64_t faults_at_boot_ = 0;
    bool healed_ = false;
    Instant began_{}, booted_at_{};
    uint64_t steps_ = 0;
};

}  // namespace sim

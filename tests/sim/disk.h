// Disk: a data_dir of its own on the file system that fails on demand.
#pragma once

#include <memory>

#include "storage/store.h"

namespace sim {

class Disk {
  public:
    Disk();
    ~Disk();

    storage::Result<std::unique_ptr<storage::Store>> open();

    /// The power goes in the middle of one of the next writes or syncs of the log.
    void cut_power_in_log(uint64_t choice);
    /// At the sync of the log that has this number, from 1.
    void cut_power_at_sync(uint64_t number);
    uint64_t log_syncs() const;
    void cut_power();
    bool powered() const;
    /// With no store open.
    void restore_power(uint64_t seed);
    /// One of the next writes or syncs of the log fails, once.
    void fail_log(uint64_t choice);
    /// No room for the log from now on. RocksDB's own threads still find some: how far they have
    /// come at a time is not the seed's to decide.
    void fill();
    void heal();
    uint64_t faults() const;  // operations that have failed

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sim

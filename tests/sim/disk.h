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

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sim

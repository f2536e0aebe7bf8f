// Numbers events and knows up to where they may be read. Several shards commit at once, so a later
// range of numbers can be on disk before an earlier one; a reader that went on would never come
// back for the earlier.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

namespace storage {

class EventLog {
  public:
    explicit EventLog(uint64_t last_used) : next_(last_used + 1) {}

    /// One commit's numbers: first, first + 1, … Each is ended by committed() or failed(), also
    /// when count is 0.
    struct Ticket {
        uint64_t first = 0;
        uint64_t count = 0;
        uint64_t turn = 0;  // in which order tickets were given out
    };
    Ticket begin(uint64_t count);

    /// Returns readable().
    uint64_t committed(const Ticket&);

    /// What became of the group is unknown: the log may still hold it, and a restart would bring it
    /// back. Readers stop in front of it until a commit that began later has succeeded. RocksDB
    /// takes no write after such a failure until it has flushed what it has and begun another log,
    /// so from then on the group cannot come back.
    void failed(const Ticket&);

    /// Every number up to this one is on disk or will never be used.
    uint64_t readable() const;

  private:
    struct Range {
        bool failed = false;
        uint64_t failed_turn = 0;  // the last ticket given out before the failure
    };
    uint64_t readable_locked() const { return (open_.empty() ? next_ : open_.begin()->first) - 1; }

    mutable std::mutex mutex_;
    uint64_t next_;
    uint64_t turn_ = 0;
    std::map<uint64_t, Range> open_;  // by first number; tickets without numbers are not in it
};

}  // namespace storage

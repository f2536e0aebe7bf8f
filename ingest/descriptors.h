// How the file descriptors of the process are shared out: a database or a DNS client that gets none
// fails worse than a connection that waits for its turn.
#pragma once

#include <cstdint>

namespace ingest {

struct Descriptors {
    static constexpr uint64_t least = 512;  // with fewer the daemon does not start

    uint32_t tables = 0;    // of the database, open at a time
    uint32_t ingest = 0;    // submitters' connections, on each shard
    uint32_t outbound = 0;  // connections to mail hosts, of all shards together
};

/// Of `limit` (RLIMIT_NOFILE, at least Descriptors::least): half and more is for mail hosts, an
/// eighth for submitters, a quarter at most for the database; the rest is for logs, DNS, listeners.
Descriptors share_out(uint64_t limit, unsigned shards);

}  // namespace ingest

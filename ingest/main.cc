#include "ingest/cli.h"
#include "ingest/daemon.h"

/// Read by jemalloc when it starts; MALLOC_CONF of the environment goes before it. Without a thread
/// of its own it gives free pages back only as others allocate, so an engine at rest would keep
/// those of its last burst: 1,000 handshakes left 40 KiB each.
extern "C" {
[[gnu::visibility("default")]] extern const char* const malloc_conf;
const char* const malloc_conf = "background_thread:true";
}

int main(int argc, char** argv) {
    return ingest::run_command_line(argc, argv, ingest::serve);
}

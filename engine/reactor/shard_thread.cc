#include "engine/reactor/shard_thread.h"

#include <pthread.h>
#include <sched.h>

namespace engine {

ShardThread::ShardThread(Reactor& reactor, const std::string& name, std::optional<int> cpu,
                         std::move_only_function<void()> start)
    : reactor_(reactor) {
    reactor.add_source(
        *this);  // so that a turn sleeps, rather than return, when there is nothing to wait for
    thread_ = std::thread(&ShardThread::run, this, std::move(start));
    pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
    if (cpu) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(static_cast<size_t>(*cpu), &set);
        // Where a container forbids it, the kernel's own choice of a CPU does as well.
        pthread_setaffinity_np(thread_.native_handle(), sizeof set, &set);
    }
}

ShardThread::~ShardThread() {
    stop();
}

void ShardThread::stop() {
    stopping_.store(true, std::memory_order_release);
    reactor_.wake();
    if (thread_.joinable()) thread_.join();
}

void ShardThread::run(std::move_only_function<void()> start) {
    if (start) start();
    while (!stopping_.load(std::memory_order_acquire)) reactor_.turn(Instant::max());
    // A few more, so that closes reach the kernel: only this thread may submit them.
    for (int i = 0; i < 4; ++i) reactor_.turn(reactor_.now());
}

}  // namespace engine

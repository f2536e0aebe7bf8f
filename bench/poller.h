// A level-triggered epoll set: one callback per descriptor. Deliberately not the engine's reactor,
// so that one bug cannot hide on both ends of a test.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace bench {

class Poller {
  public:
    using Callback = std::function<void(uint32_t events)>;

    /// Throws std::runtime_error when the kernel refuses a set.
    Poller();
    ~Poller();
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;

    /// Calls back with EPOLLIN, EPOLLOUT … (and always EPOLLERR, EPOLLHUP) until forget(). The
    /// caller keeps the descriptor. A callback may forget any descriptor, its own included.
    void watch(int fd, uint32_t events, Callback callback);
    void change(int fd, uint32_t events);
    void forget(int fd);

    /// Waits for events at most `timeout` and calls back; returns the number of events.
    int turn(std::chrono::milliseconds timeout);

  private:
    int epoll_ = -1;
    std::vector<std::unique_ptr<Callback>> callbacks_;  // by descriptor
    std::vector<std::unique_ptr<Callback>>
        forgotten_;  // may be running: freed when the turn is over
};

}  // namespace bench

// A delay line: a TCP proxy behind which everything happens one way's delay later, in both
// directions: octets, the end of a stream, a reset.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>

#include "bench/delay/lateness.h"
#include "bench/poller.h"
#include "bench/socket.h"

namespace delay {

struct LineOptions {
    bench::Endpoint listen;
    bench::Endpoint to;
    std::chrono::nanoseconds one_way{std::chrono::milliseconds(25)};
    size_t connections_max = 4096;  // more are closed at once
};

/// What the real line would do to a connection, as far as both ends can see it:
///  - octets leave in order, each `one_way` after the line has read them, cut or joined as the
///    kernel likes;
///  - the end of a stream passes one way only (half-close), a reset ends both;
///  - the far end sees a connection three ways late (SYN, SYN ACK, ACK), because the near end's
///    connect() returned at once; a refusal there is a reset here.
/// Acknowledgements are not delayed: they come from the line's own sockets, at once.
class Line {
  public:
    static constexpr size_t waiting_octets_max =
        4 * 1024 * 1024;  // each way; then it reads no more

    /// Listens at once. Throws std::runtime_error when the endpoint or a timer cannot be had.
    Line(bench::Poller& poller, LineOptions options);
    ~Line();
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    uint16_t port() const { return bench::local_port(listener_.fd()); }
    size_t open() const { return connections_.size(); }
    uint64_t accepted() const { return accepted_; }
    const Lateness& lateness() const { return lateness_; }

  private:
    using Clock = std::chrono::steady_clock;
    enum class End : uint8_t { near, far };
    struct Connection;
    struct Due {
        Clock::time_point when;
        uint64_t connection = 0;
        End towards = End::near;
    };

    void on_acceptable();
    void on_ready(Connection& connection, End end, uint32_t events);
    void read(Connection& connection, End end);
    void write(Connection& connection, End end);
    void dial(Connection& connection);
    void deliver(Connection& connection, End end);
    void reset(Connection& connection);
    void watch_what_is_wanted(Connection& connection, End end);
    void forget(Connection& connection, End end);
    void run_due();
    void arm_timer();

    bench::Poller& poller_;
    LineOptions options_;
    bench::Socket listener_;
    bench::Socket timer_;
    std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
    // Both waits are constants, so the entries are in due order by themselves.
    std::deque<Due> pieces_;
    std::deque<Due> dials_;
    uint64_t accepted_ = 0;
    Lateness lateness_;
};

}  // namespace delay

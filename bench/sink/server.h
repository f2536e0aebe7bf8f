// Accepts connections on many addresses and moves octets between them and their sessions: buffers,
// delays, deadlines, limits of connections.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "bench/poller.h"
#include "bench/sink/session.h"
#include "bench/socket.h"

namespace sink {

struct ServerOptions {
    std::vector<bench::Endpoint> listen;
    std::chrono::nanoseconds delay{0};  // every write leaves this late, as over a long line
    std::chrono::nanoseconds final_delay{
        0};  // work on a message before its reply; the session stands still
    std::chrono::nanoseconds idle =
        std::chrono::minutes(5);  // without an octet in either direction
    size_t connections_max = 10'000;
    size_t connections_per_address = 0;  // 0: no limit; over it a connection meets 421
};

class Server {
  public:
    /// Listens at once. Throws std::runtime_error (address in use …).
    Server(bench::Poller& poller, Shared& shared, ServerOptions options);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    size_t addresses() const { return listeners_.size(); }
    uint16_t port() const;  // of the first listener

    /// Runs what has become due (delays, deadlines) and returns how long the poller may sleep.
    std::chrono::milliseconds run_due();

  private:
    using Clock = std::chrono::steady_clock;
    struct Connection;
    struct Listener {
        bench::Socket socket;
        size_t open = 0;
    };
    struct Due {
        Clock::time_point when;
        int fd = -1;
        uint64_t generation = 0;
    };

    void on_acceptable(size_t listener);
    void open(bench::Socket socket, size_t listener);
    void on_ready(Connection& connection, uint32_t events);
    void on_readable(Connection& connection);
    void run_session(Connection& connection, std::string_view fresh);
    void apply(Connection& connection, Session::Next next);
    void send_replies(Connection& connection);
    void on_write_due(Connection& connection);
    void on_final_due(Connection& connection);
    void watch_what_is_wanted(Connection& connection);
    void close(Connection& connection);
    void close_idle();
    Connection* find(const Due& due);

    bench::Poller& poller_;
    Shared& shared_;
    ServerOptions options_;
    std::vector<Listener> listeners_;
    std::vector<std::unique_ptr<Connection>> connections_;  // by descriptor
    std::vector<std::unique_ptr<Connection>>
        closed_;  // freed when no callback of theirs can be running
    // Both delays are constants, so the entries are in due order by themselves.
    std::deque<Due> due_writes_;
    std::deque<Due> due_finals_;
    Clock::time_point next_idle_check_;
    uint64_t generation_ = 0;
    std::vector<char> buffer_;
};

}  // namespace sink

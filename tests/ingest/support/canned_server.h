// A blocking server on a free loopback port that says what a test tells it to: for the clients of
// the command line.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace ingest::testing_support {

/// One accepted connection.
class Peer {
  public:
    explicit Peer(int fd) : fd_(fd) {}
    void say(std::string_view bytes) const;
    /// Reads on until what came ends with `end` (or the other side closes) and returns it.
    std::string hear_until(std::string_view end) const;

  private:
    int fd_;
};

/// Serves `connections` connections one after the other, each by `serve`, then ends.
class CannedServer {
  public:
    CannedServer(int connections, std::function<void(Peer&)> serve);
    ~CannedServer();
    uint16_t port() const { return port_; }
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  private:
    int listener_;
    uint16_t port_ = 0;
    std::thread thread_;
};

std::string http_answer(int status, std::string_view body);

}  // namespace ingest::testing_support

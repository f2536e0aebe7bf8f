// One non-blocking connection of the load generator.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "bench/arguments.h"
#include "bench/poller.h"

namespace load {

class Client {
  public:
    /// Called when input has come, when the output is all gone, and when the connection is lost.
    using Callback = std::function<void(Client&)>;

    /// Connects (blocking: the peer is on this machine). Throws std::runtime_error with the address
    /// and the reason.
    Client(bench::Poller& poller, const bench::Endpoint& server, Callback callback);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// What has been read and not been taken away by the callback.
    std::string input;
    bool lost = false;  // closed by the peer, or an error

    void send(std::string_view octets);
    size_t unsent() const { return output_.size() - sent_; }

  private:
    void on_ready(uint32_t events);
    void flush();

    bench::Poller& poller_;
    Callback callback_;
    int fd_ = -1;
    std::string output_;
    size_t sent_ = 0;  // octets of output_ that are gone already
    bool watched_ = true;
    bool wants_writable_ = false;
};

}  // namespace load

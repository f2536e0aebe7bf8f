// ServiceManager: what systemd told us when it started us, and what we tell it. Its protocols are a
// datagram and three environment variables (sd_notify(3), sd_listen_fds(3),
// sd_watchdog_enabled(3)), so there is no library for them here. Without a service manager every
// call does nothing.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ingest {

class ServiceManager {
  public:
    /// Reads the environment and takes out of it what is ours alone, so that no child believes it
    /// to be its own. Before the first thread starts.
    static ServiceManager from_environment();

    void ready(const std::string& status) const;
    void reloading() const;  // ready() follows
    void stopping() const;
    void alive() const;  // feeds the watchdog

    /// How long it waits for alive() before it kills us. Empty: it does not watch.
    std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

    /// Descriptors of sockets that it listens on for us. Each is taken once; the taker owns it.
    std::vector<int> take_sockets() { return std::exchange(sockets_, {}); }

  private:
    void tell(const std::string& message) const;

    std::string socket_;  // path, or '@' and an abstract name; empty: nobody listens
    std::optional<std::chrono::microseconds> watchdog_;
    std::vector<int> sockets_;
};

}  // namespace ingest

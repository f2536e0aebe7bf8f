// PassedSockets: listening sockets that a service manager made, found by the address that [listen]
// gives. So the configuration stays the one place that says where we listen, and with which
// protocol; who binds is the manager's matter.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/reactor/address.h"

namespace ingest {

class PassedSockets {
  public:
    PassedSockets() = default;
    explicit PassedSockets(std::vector<int> descriptors);
    PassedSockets(const PassedSockets&) = delete;
    PassedSockets& operator=(const PassedSockets&) = delete;
    ~PassedSockets();  // closes what nobody took

    std::optional<int> take(const engine::SocketAddress& address);
    /// What no [listen] address asked for. A socket that nobody serves would let clients connect
    /// and wait for ever.
    std::vector<std::string> left() const;

  private:
    std::multimap<std::string, int> by_address_;
};

}  // namespace ingest

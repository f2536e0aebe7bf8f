#include "ingest/passed_sockets.h"

#include <sys/socket.h>
#include <unistd.h>

namespace ingest {

namespace {
std::string address_of(int fd) {
    engine::SocketAddress address;
    address.size = sizeof address.storage;
    int listens = 0;
    socklen_t size = sizeof listens;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0)
        return "descriptor " + std::to_string(fd) + " (no listening stream socket)";
    return address.to_string();
}
}  // namespace

PassedSockets::PassedSockets(std::vector<int> descriptors) {
    for (const int fd : descriptors) by_address_.emplace(address_of(fd), fd);
}

PassedSockets::~PassedSockets() {
    for (const auto& [address, fd] : by_address_) ::close(fd);
}

std::optional<int> PassedSockets::take(const engine::SocketAddress& address) {
    const auto found = by_address_.find(address.to_string());
    if (found == by_address_.end()) return std::nullopt;
    const int fd = found->second;
    by_address_.erase(found);
    return fd;
}

std::vector<std::string> PassedSockets::left() const {
    std::vector<std::string> addresses;
    for (const auto& [address, fd] : by_address_) addresses.push_back(address);
    return addresses;
}

}  // namespace ingest

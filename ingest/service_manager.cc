#include "ingest/service_manager.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace ingest {

namespace {
constexpr int first_socket = 3;  // SD_LISTEN_FDS_START
constexpr int sockets_max = 256;

std::string take(const char* variable) {
    const char* value = std::getenv(variable);
    std::string text = value ? value : "";
    ::unsetenv(variable);
    return text;
}

int64_t number(const std::string& text) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() ? value : 0;
}

/// The variables are inherited by whoever a process starts; only the named one is meant.
bool for_us(const std::string& pid) {
    return pid.empty() || number(pid) == ::getpid();
}

std::vector<int> passed_sockets() {
    const std::string pid = take("LISTEN_PID");
    const int64_t count = number(take("LISTEN_FDS"));
    ::unsetenv("LISTEN_FDNAMES");
    std::vector<int> sockets;
    if (pid.empty() || !for_us(pid) || count < 1 || count > sockets_max) return sockets;
    for (int fd = first_socket; fd < first_socket + count; ++fd) {
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        sockets.push_back(fd);
    }
    return sockets;
}
}  // namespace

ServiceManager ServiceManager::from_environment() {
    ServiceManager manager;
    manager.socket_ = take("NOTIFY_SOCKET");
    const std::string watched = take("WATCHDOG_PID");
    if (const int64_t period = number(take("WATCHDOG_USEC")); period > 0 && for_us(watched))
        manager.watchdog_ = std::chrono::microseconds(period);
    manager.sockets_ = passed_sockets();
    return manager;
}

void ServiceManager::ready(const std::string& status) const {
    tell("READY=1\nSTATUS=" + status);
}

void ServiceManager::reloading() const {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                     std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
}

void ServiceManager::stopping() const {
    tell("STOPPING=1\nSTATUS=draining: transactions in hand finish, the rest stays queued");
}

void ServiceManager::alive() const {
    tell("WATCHDOG=1");
}

void ServiceManager::tell(const std::string& message) const {
    sockaddr_un to{};
    if (socket_.empty() || socket_.size() >= sizeof to.sun_path) return;
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, socket_.data(), socket_.size());
    if (socket_.front() == '@') to.sun_path[0] = '\0';
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
    // It reads soon or not at all; a daemon that waits for its manager helps nobody.
    ::sendto(fd, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
             reinterpret_cast<const sockaddr*>(&to), size);
    ::close(fd);
}

}  // namespace ingest

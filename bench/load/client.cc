#include "bench/load/client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace load {

Client::Client(bench::Poller& poller, const bench::Endpoint& server, Callback callback)
    : poller_(poller), callback_(std::move(callback)) {
    fd_ = ::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || ::connect(fd_, server.raw(), server.length) < 0) {
        int error = errno;
        if (fd_ >= 0) ::close(fd_);
        throw std::runtime_error(
            fmt::format("cannot connect to {}: {}", server.text, std::strerror(error)));
    }
    int on = 1;
    if (server.family() != AF_UNIX) setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd_, F_SETFL, O_NONBLOCK);
    poller_.watch(fd_, EPOLLIN, [this](uint32_t events) { on_ready(events); });
}

Client::~Client() {
    if (watched_) poller_.forget(fd_);
    ::close(fd_);
}

void Client::send(std::string_view octets) {
    output_.append(octets);
    flush();
}

void Client::on_ready(uint32_t events) {
    if (events & EPOLLOUT) flush();
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        std::array<char, 64 * 1024> buffer;
        ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
        if (count > 0) input.append(buffer.data(), size_t(count));
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) lost = true;
    }
    // A lost connection stays ready for ever: it must not be reported again and again.
    if (lost && watched_) {
        watched_ = false;
        poller_.forget(fd_);
    }
    callback_(*this);
}

void Client::flush() {
    while (sent_ < output_.size() && !lost) {
        ssize_t count = ::send(fd_, output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        // A peer that closed may have said why: leave that to be read before the connection counts
        // as lost.
        if (count < 0) break;
        sent_ += size_t(count);
    }
    if (sent_ == output_.size()) {
        output_.clear();
        sent_ = 0;
    }
    bool want = unsent() > 0 && !lost;
    if (want == wants_writable_ || !watched_) return;
    wants_writable_ = want;
    poller_.change(fd_, want ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

}  // namespace load

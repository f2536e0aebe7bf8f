#include "bench/sink/side_doors.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace sink {
namespace {

constexpr int datagrams_a_turn = 256;
constexpr int udp_octets = 4 << 20;

/// One message of DNS over TCP (RFC 1035 section 4.2.2): two octets of length, then the message.
std::string dns_over_tcp(std::string& request, const Zone& zone, Tally& tally) {
    std::string answers;
    while (request.size() >= 2) {
        size_t length = size_t(static_cast<unsigned char>(request[0])) << 8 |
                        static_cast<unsigned char>(request[1]);
        if (request.size() < length + 2) break;
        if (auto answer = zone.answer(std::string_view(request).substr(2, length), tally)) {
            answers += char(answer->size() >> 8);
            answers += char(answer->size() & 255);
            answers += *answer;
        }
        request.erase(0, length + 2);
    }
    return answers;
}

}  // namespace

RequestServer::RequestServer(bench::Poller& poller, const bench::Endpoint& endpoint, After after,
                             Answer answer)
    : poller_(poller),
      after_(after),
      answer_(std::move(answer)),
      listener_(bench::listen_on(endpoint)) {
    poller_.watch(listener_.fd(), EPOLLIN, [this](uint32_t) { on_acceptable(); });
}

void RequestServer::on_acceptable() {
    bench::Socket socket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.fd() < 0 || connections_.size() >= connections_max) return;
    int fd = socket.fd();
    connections_[fd] = {std::move(socket), {}};
    poller_.watch(fd, EPOLLIN, [this, fd](uint32_t) { on_readable(fd); });
}

void RequestServer::on_readable(int fd) {
    Connection& connection = connections_[fd];
    std::array<char, 4096> buffer;
    ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    bool over = count <= 0;
    if (!over) {
        connection.request.append(buffer.data(), size_t(count));
        auto answer = answer_(connection.request);
        // A short answer into an empty socket buffer: a peer that cannot take it loses it.
        if (!answer.empty()) {
            ssize_t sent = ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
            over = after_ == After::close || sent != ssize_t(answer.size());
        }
        over |= connection.request.size() > request_octets_max;
    }
    if (!over) return;
    poller_.forget(fd);
    connections_.erase(fd);
}

DnsServer::DnsServer(bench::Poller& poller, const bench::Endpoint& endpoint, Zone zone,
                     Tally& tally)
    : zone_(std::move(zone)),
      tally_(tally),
      udp_(bench::bind_udp(endpoint)),
      tcp_(poller, endpoint, After::keep,
           [this](std::string& request) { return dns_over_tcp(request, zone_, tally_); }) {
    // As much as the system allows; what does not fit is asked again after two seconds.
    ::setsockopt(udp_.fd(), SOL_SOCKET, SO_RCVBUF, &udp_octets, sizeof udp_octets);
    poller.watch(udp_.fd(), EPOLLIN, [this](uint32_t) { on_datagram(); });
}

/// All that wait, within a bound: one a turn, beside thousands of busy sessions, and the kernel
/// drops most of what a campaign to many domains asks.
void DnsServer::on_datagram() {
    std::array<char, 4096> buffer;
    for (int i = 0; i < datagrams_a_turn; ++i) {
        sockaddr_storage peer{};
        socklen_t length = sizeof peer;
        ssize_t count = ::recvfrom(udp_.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                   reinterpret_cast<sockaddr*>(&peer), &length);
        if (count <= 0) return;
        if (auto answer = zone_.answer({buffer.data(), size_t(count)}, tally_))
            ::sendto(udp_.fd(), answer->data(), answer->size(), 0,
                     reinterpret_cast<sockaddr*>(&peer), length);
    }
}

std::string http_answer(std::string& request, const Tally& tally) {
    if (request.find("\r\n\r\n") == std::string::npos) return {};
    request.clear();
    auto body = tally.json() + "\n";
    return fmt::format(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n"
        "Connection: close\r\n\r\n{}",
        body.size(), body);
}

}  // namespace sink

#include "tests/ingest/support/canned_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ingest::testing_support {

void Peer::say(std::string_view bytes) const {
    while (!bytes.empty()) {
        const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return;
        bytes.remove_prefix(static_cast<size_t>(n));
    }
}

std::string Peer::hear_until(std::string_view end) const {
    std::string heard;
    char buffer[4096];
    while (!heard.ends_with(end)) {
        const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
        if (n <= 0) break;
        heard.append(buffer, static_cast<size_t>(n));
    }
    return heard;
}

CannedServer::CannedServer(int connections, std::function<void(Peer&)> serve)
    : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, raw, size) != 0 || listen(listener_, 8) != 0) return;
    getsockname(listener_, raw, &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([listener = listener_, connections, serve = std::move(serve)] {
        for (int i = 0; i < connections; ++i) {
            const int fd = accept(listener, nullptr, nullptr);
            if (fd < 0) return;
            Peer peer(fd);
            serve(peer);
            close(fd);
        }
    });
}

CannedServer::~CannedServer() {
    shutdown(listener_, SHUT_RDWR);  // ends an accept that nobody came to
    if (thread_.joinable()) thread_.join();
    close(listener_);
}

std::string http_answer(int status, std::string_view body) {
    return "HTTP/1.1 " + std::to_string(status) +
           " x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

}  // namespace ingest::testing_support

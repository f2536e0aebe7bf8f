#include "tests/engine/dns/support/dnsmasq.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "tests/engine/dns/support/dns_packet.h"

extern char** environ;

namespace engine {

namespace {

sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// A port that is free for TCP and UDP at this moment.
uint16_t free_port() {
    for (int attempt = 0; attempt < 100; ++attempt) {
        const int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        const int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        const bool bound = bind(udp, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                           getsockname(udp, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
                           bind(tcp, reinterpret_cast<sockaddr*>(&address), size) == 0;
        close(udp);
        close(tcp);
        if (bound) return ntohs(address.sin_port);
    }
    return 0;
}

}  // namespace

Dnsmasq::Dnsmasq(std::vector<std::string> records) : port_(free_port()) {
    const passwd* user = getpwuid(getuid());
    std::vector<std::string> words = {"dnsmasq",
                                      "--conf-file=/dev/null",
                                      "--no-resolv",
                                      "--no-hosts",
                                      "--keep-in-foreground",
                                      "--bind-interfaces",
                                      "--listen-address=127.0.0.1",
                                      "--pid-file=",
                                      "--log-facility=/dev/null",
                                      "--user=" + std::string(user ? user->pw_name : "nobody"),
                                      "--port=" + std::to_string(port_)};
    words.insert(words.end(), records.begin(), records.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int error = posix_spawnp(&pid_, "dnsmasq", nullptr, nullptr, arguments.data(), environ);
    if (error != 0) pid_ = -1;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (pid_ > 0 && !answers()) {
        if (waitpid(pid_, nullptr, WNOHANG) == pid_ ||
            std::chrono::steady_clock::now() > deadline) {
            ADD_FAILURE() << "dnsmasq does not answer on port " << port_
                          << "; deploy/setup.sh installs it (dnsmasq-base)";
            return;
        }
    }
    EXPECT_EQ(error, 0) << "dnsmasq is not there; deploy/setup.sh installs it (dnsmasq-base)";
}

Dnsmasq::~Dnsmasq() {
    stop();
}

void Dnsmasq::stop() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

/// One question, and up to 50 ms for any answer to it.
bool Dnsmasq::answers() const {
    const int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const sockaddr_in server = loopback(port_);
    connect(udp, reinterpret_cast<const sockaddr*>(&server), sizeof server);
    const std::string question = DnsPacket("ready.test", 1, 0x0100).bytes();
    char answer[512];
    pollfd readable{udp, POLLIN, 0};
    const bool came = send(udp, question.data(), question.size(), 0) > 0 &&
                      poll(&readable, 1, 50) == 1 && recv(udp, answer, sizeof answer, 0) > 0;
    close(udp);
    return came;
}

}  // namespace engine

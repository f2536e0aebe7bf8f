// A real DNS server on a free loopback port, with the records that a test names and no others.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace engine {

class Dnsmasq {
  public:
    /// `records` are dnsmasq options: "--mx-host=x.test,mx.test,10". Answers when it returns; fails
    /// the test when dnsmasq does not start.
    explicit Dnsmasq(std::vector<std::string> records);
    ~Dnsmasq();
    Dnsmasq(const Dnsmasq&) = delete;
    Dnsmasq& operator=(const Dnsmasq&) = delete;

    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    void stop();

  private:
    bool answers() const;
    pid_t pid_ = -1;
    uint16_t port_ = 0;
};

}  // namespace engine

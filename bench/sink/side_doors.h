// The sink's two small servers beside SMTP: DNS over UDP and TCP for its zone, and the tally over
// HTTP. Each reads one short request into a bounded buffer and answers it.
#pragma once
#include <memory>
#include <string>
#include <unordered_map>

#include "bench/poller.h"
#include "bench/sink/zone.h"
#include "bench/socket.h"

namespace sink {

/// Takes the request gathered so far. An empty answer: more input is wanted.
using Answer = std::function<std::string(std::string& request)>;

/// Keeps a TCP connection open after an answer, or closes it.
enum class After : unsigned char { keep, close };

/// Request and answer over TCP: for DNS and for the tally.
class RequestServer {
  public:
    static constexpr size_t connections_max = 256;
    static constexpr size_t request_octets_max = 16 * 1024;

    /// Throws std::runtime_error when the endpoint cannot be had.
    RequestServer(bench::Poller& poller, const bench::Endpoint& endpoint, After after,
                  Answer answer);

    uint16_t port() const { return bench::local_port(listener_.fd()); }

  private:
    struct Connection {
        bench::Socket socket;
        std::string request;
    };

    void on_acceptable();
    void on_readable(int fd);

    bench::Poller& poller_;
    After after_;
    Answer answer_;
    bench::Socket listener_;
    std::unordered_map<int, Connection> connections_;
};

/// DNS on one address, UDP and TCP.
class DnsServer {
  public:
    DnsServer(bench::Poller& poller, const bench::Endpoint& endpoint, Zone zone, Tally& tally);

  private:
    void on_datagram();

    Zone zone_;
    Tally& tally_;
    bench::Socket udp_;
    RequestServer tcp_;
};

/// Answers any HTTP request with the tally's JSON.
std::string http_answer(std::string& request, const Tally& tally);

}  // namespace sink

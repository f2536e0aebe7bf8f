// HTTPS for the few small files that delivery needs, beside the shard: libcurl on a thread of its
// own, because a handshake and reading the authorities take milliseconds.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "engine/reactor/reactor.h"
#include "engine/reactor/spsc_ring.h"
#include "engine/reactor/task.h"

namespace engine {

struct HttpsRequest {
    std::string host;  // whose name the certificate must bear
    uint16_t port = 443;
    std::string path;
    std::vector<SocketAddress> addresses;  // where it is; there is no other look-up
    size_t body_bytes_max = 64 << 10;
    std::chrono::milliseconds timeout{60'000};  // of the whole exchange
};

struct HttpsAnswer {
    enum class Kind : uint8_t {
        answered,   // with `status` and a whole body
        untrusted,  // the certificate does not hold
        failed      // anything else: no connection, no time, too large
    };
    Kind kind = Kind::failed;
    long status = 0;
    std::string content_type;  // as it came
    std::string body;
    std::string error;  // for people, unless answered
};

/// One per shard. Redirects are not followed and proxies of the environment are not asked.
class HttpsFetcher final : public Source {
  public:
    static constexpr size_t in_flight_max = 32;  // with the thread; more wait on the shard

    /// `ca_file`: authorities, PEM; empty: the system's. The thread begins with the first fetch.
    /// Adds itself to the reactor's sources: it must live until its last turn, and die before it.
    HttpsFetcher(Reactor& reactor, std::string thread_name, std::string ca_file);
    HttpsFetcher(const HttpsFetcher&) = delete;
    HttpsFetcher& operator=(const HttpsFetcher&) = delete;
    ~HttpsFetcher() override;  // nobody may wait for it

    Task<HttpsAnswer> fetch(HttpsRequest request);
    /// What is in flight, and what is asked for later, fails at once.
    void stop();

    bool drain() override;
    bool pending() const override { return !done_.empty(); }

  private:
    struct Exchange;
    struct Handed;
    class Loop;

    void hand_over();

    Reactor& reactor_;
    const std::string thread_name_, ca_file_;
    std::deque<Exchange*> waiting_;  // they live in their callers' frames
    size_t with_thread_ = 0;         // at most in_flight_max, so `done_` always has room
    SpscRing<Exchange*> todo_;
    SpscRing<Exchange*> done_;
    std::atomic<bool> stop_{false};
    void* multi_ = nullptr;  // libcurl's; only curl_multi_wakeup from this side
    std::thread thread_;
};

}  // namespace engine

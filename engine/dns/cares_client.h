// The DNS over c-ares, driven by the shard's own poll operations and timers: no thread, no
// blocking.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/dns/dns_client.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/scope.h"

struct ares_channeldata;

namespace engine {

struct CaresOptions {
    std::vector<std::string>
        servers;  // "127.0.0.1:53", "[::1]:53" or without port; empty: the system's
    std::chrono::milliseconds timeout{
        2000};  // of the first try; each further try of all servers has twice as long
    int tries = 3;
    bool believe_dnssec = true;    // that a server of this host says, see servers_are_local()
    size_t in_flight_max = 256;    // questions on the wire; what is above waits here
    size_t waiting_max = 100'000;  // above it a question fails at once
};

/// One per shard. Every query ends exactly once: with an answer, a timeout, or stop().
class CaresClient final : public DnsClient {
  public:
    /// Errors name the server that can not be used, or what c-ares says (start-up).
    static Result<std::unique_ptr<CaresClient>> create(Reactor& reactor, CaresOptions options);
    /// stop() must have been awaited, unless nothing was ever asked.
    ~CaresClient() override;

    Task<DnsAnswer> query(std::string name, Type type) override;

    Task<> stop() override;

    /// Whether every server is on this host: only then is its word on DNSSEC (the AD bit) worth
    /// anything, and DnsAnswer::authenticated is never set otherwise (RFC 7672 2.1).
    bool servers_are_local() const { return servers_are_local_; }
    /// For people: "127.0.0.1:53,[::1]:53".
    const std::string& servers() const { return servers_; }

    size_t in_flight() const { return in_flight_; }
    size_t waiting() const { return waiting_.size(); }

  private:
    struct Question;
    struct Asking;
    struct SlotWait;
    struct Watch;

    CaresClient(Reactor& reactor, CaresOptions options);
    Result<void> open();
    static void on_answer(void* question, int status, int timeouts, unsigned char* packet,
                          int size);
    static void on_socket(void* client, int fd, int readable, int writable);
    void ask(Question& question);
    bool all_servers_local() const;
    void interest(int fd, uint32_t events);
    void leave_slot();
    Task<> watch(std::shared_ptr<Watch> watch);
    Task<> tick();

    Reactor& reactor_;
    CaresOptions options_;
    std::string servers_;  // for people
    bool servers_are_local_ = false;
    ares_channeldata* channel_ = nullptr;
    bool stopping_ = false;
    size_t in_flight_ = 0;
    std::deque<std::coroutine_handle<>> waiting_;  // for a slot, in order
    std::unordered_map<int, std::shared_ptr<Watch>> watches_;
    Op* tick_ = nullptr;  // the sleep of the task that sees to timeouts
    bool ticking_ = false;
    Scope tasks_;
};

}  // namespace engine

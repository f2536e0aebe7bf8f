// A reactor without a kernel: the run queue, a clock that a test moves, and sleeps. Enough for code
// whose only outside is a DnsClient.
#pragma once

#include <deque>
#include <vector>

#include "engine/reactor/reactor.h"
#include "metrics/check.h"

namespace engine {

class FakeReactor final : public Reactor {
  public:
    explicit FakeReactor(uint64_t seed = 1) : random_(seed) {}

    Instant now() const override { return now_; }
    WallTime wall() const override { return {}; }
    void advance(std::chrono::nanoseconds by) { now_ += by; }
    void run() {
        while (!ready_.empty()) {
            const auto next = ready_.front();
            ready_.pop_front();
            next.resume();
        }
    }

    void post(std::coroutine_handle<> handle) override { ready_.push_back(handle); }
    std::mt19937_64& random() override { return random_; }
    bool turn(Instant) override {
        run();
        return false;
    }
    void add_source(Source&) override {}
    void wake() override {}

    Result<int> open_socket(int, const SocketAddress*) override { return no_kernel(); }
    Result<int> listen_on(const SocketAddress&, int) override { return no_kernel(); }
    Result<SocketAddress> local_address(int) const override { return no_kernel(); }
    Result<SocketAddress> peer_address(int) const override { return no_kernel(); }
    void close_socket(int) override {}
    void submit(Op&) override { CHECK(false, "this reactor has no operations"); }
    void cancel(Op&) override {}
    std::string_view bytes(const Op&) const override { return {}; }
    void release(uint16_t) override {}

  private:
    static std::unexpected<Error> no_kernel() {
        return failure(Errc::system, "a reactor without a kernel");
    }

    Instant now_{std::chrono::hours(1)};
    std::deque<std::coroutine_handle<>> ready_;
    std::mt19937_64 random_;
};

}  // namespace engine

// A shard in memory for tests of ingest/: manual time, a connection whose two ends are strings, an
// intake that keeps what it got, and a real store in a directory of its own.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/reactor/scope.h"
#include "ingest/http_api.h"
#include "ingest/http_context.h"
#include "tests/engine/reactor/support/inline_worker.h"

namespace ingest::test {

using engine::Instant;
using engine::Result;
using engine::Task;
using namespace std::chrono_literals;

/// Time moves only when a test says so. No sockets.
class TestReactor final : public engine::Reactor {
  public:
    Instant now() const override { return now_; }
    storage::WallTime wall() const override {
        return storage::WallTime(1'790'000'000'000ms) +
               std::chrono::duration_cast<std::chrono::milliseconds>(now_ - Instant{});
    }
    void post(std::coroutine_handle<> handle) override { ready_.push_back(handle); }
    std::mt19937_64& random() override { return random_; }

    /// Resumed at `deadline`, unless it is taken back before.
    void at(Instant deadline, std::coroutine_handle<> handle) {
        timers_.push_back({deadline, handle});
    }
    void take_back(std::coroutine_handle<> handle) {
        std::erase_if(timers_, [&](const Timer& timer) { return timer.handle == handle; });
    }
    /// Runs what can run now.
    void settle();
    /// Settles, and moves time on from timer to timer.
    void advance(std::chrono::milliseconds by);

    Result<int> open_socket(int, const engine::SocketAddress*) override { return none(); }
    Result<int> listen_on(const engine::SocketAddress&, int) override { return none(); }
    Result<engine::SocketAddress> local_address(int) const override {
        return engine::failure(engine::Errc::system);
    }
    Result<engine::SocketAddress> peer_address(int) const override {
        return engine::failure(engine::Errc::system);
    }
    void close_socket(int) override {}
    void submit(engine::Op& op) override {
        CHECK(op.kind == engine::Op::Kind::sleep, "there are no sockets in this test");
        op.result = 0;
        at(op.deadline, op.waiter);
    }
    void cancel(engine::Op& op) override {
        const auto sleeps = [&](const Timer& timer) { return timer.handle == op.waiter; };
        if (std::erase_if(timers_, sleeps) == 0) return;  // its time was up
        op.result = -ECANCELED;
        post(op.waiter);
    }
    std::string_view bytes(const engine::Op&) const override { return {}; }
    void release(uint16_t) override {}
    bool turn(Instant) override { return false; }
    void add_source(engine::Source&) override {}
    void wake() override {}

  private:
    struct Timer {
        Instant deadline;
        std::coroutine_handle<> handle;
    };
    Result<int> none() const { return engine::failure(engine::Errc::system); }
    Instant now_{};
    std::deque<std::coroutine_handle<>> ready_;
    std::vector<Timer> timers_;
    std::mt19937_64 random_{1};
};

/// The client's end of a MemoryStream; it outlives the stream.
struct Wire {
    std::string to_server;
    std::string from_server;
    bool client_closed = false;  // no more bytes will come
    bool server_closed = false;
    bool write_fails = false;
    bool write_hangs = false;  // the peer does not read: writes end at their deadline
    size_t piece = SIZE_MAX;   // bytes that one read gives at most
    std::string peer = "127.0.0.1:40000";
    std::coroutine_handle<> reader;
};

class MemoryStream final : public engine::Stream {
  public:
    MemoryStream(TestReactor& reactor, std::shared_ptr<Wire> wire)
        : reactor_(reactor), wire_(std::move(wire)) {}
    ~MemoryStream() override { close(); }
    Task<Result<std::string_view>> read() override;
    Task<Result<void>> write(std::span<const std::string_view> chunks) override;
    void expires_at(Instant deadline) override { deadline_ = deadline; }
    void close() override { wire_->server_closed = true; }
    std::string peer() const override { return wire_->peer; }

  private:
    TestReactor& reactor_;
    std::shared_ptr<Wire> wire_;
    Instant deadline_ = Instant::max();
    std::string given_;
};

/// Keeps what it got. Answers in the next round of the loop, as a disk would.
class KeepingIntake final : public engine::Intake {
  public:
    explicit KeepingIntake(TestReactor& reactor) : reactor_(reactor) {}
    storage::JobId new_job_id() override { return storage::JobId{++last_id_}; }
    storage::WallTime now() const override { return reactor_.wall(); }
    const std::string& node_name() const override { return name_; }
    std::optional<engine::Refusal> refusal() const override { return refuses; }
    Task<std::expected<void, engine::Refusal>> accept(
        std::vector<engine::JobPart> parts,
        std::vector<storage::IdempotencyRecord> records) override;

    struct Kept {
        storage::Job job;
        std::shared_ptr<const engine::Content> content;
        std::optional<storage::WallTime> send_at;
        std::optional<std::chrono::milliseconds> expires_in;
        std::vector<engine::Recipient> recipients;
        bool ended = false;
    };
    std::map<storage::JobId, Kept> jobs;
    std::optional<engine::Refusal> refuses;         // at once
    std::optional<engine::Refusal> refuses_commit;  // after the wait
    std::chrono::milliseconds commit_takes{0};
    bool keep = true;  // false: only counts, for measurements
    size_t commits = 0, recipients = 0, in_flight = 0, in_flight_most = 0;
    storage::Store* store = nullptr;  // where idempotency records go

  private:
    TestReactor& reactor_;
    std::string name_ = "node.test";
    uint64_t last_id_ = 1000;
};

class TestFeed final : public engine::Feed {
  public:
    TestFeed(TestReactor& reactor) : reactor_(reactor) {}
    uint64_t last() const override { return last_; }
    Task<> wait_beyond(uint64_t seq, Instant deadline) override;
    void advance(uint64_t upto);

  private:
    TestReactor& reactor_;
    uint64_t last_ = 0;
    std::vector<std::coroutine_handle<>> waiting_;
};

class TestNode final : public engine::Node {
  public:
    Task<engine::DeliveryStatus> status() override {
        co_return engine::DeliveryStatus{.scheduled = 3, .ready = 2};
    }
    Task<engine::HeldSettled> settle_held(engine::Held held, engine::HeldAnswer answer) override {
        held_settled.emplace_back(held.key.id, answer);
        co_return engine::HeldSettled::gone;
    }
    std::vector<std::pair<storage::DeliveryId, engine::HeldAnswer>> held_settled;
    Task<engine::QueueOverview> queues(engine::QueueQuestion question) override {
        asked_queues = std::move(question);
        co_return overview;
    }
    Task<engine::SiteOverview> sites(engine::SiteQuestion question) override {
        asked_sites = std::move(question);
        co_return known_sites;
    }
    Task<engine::ProviderOverview> providers() override { co_return known_providers; }
    Task<engine::TraceRead> trace(uint64_t viewer,
                                  std::shared_ptr<const engine::TraceFilter> filter) override {
        if (filter) asked_trace = *filter;
        trace_left = !filter;
        trace_viewer = viewer;
        engine::TraceRead read = std::move(traced);
        traced = {.seated = read.seated};
        co_return read;
    }
    Task<engine::Explanation> explain(std::string domain) override {
        asked_domain = std::move(domain);
        co_return explanation;
    }

    engine::Explanation explanation;
    std::string asked_domain;
    engine::QueueOverview overview;
    engine::SiteOverview known_sites;
    engine::ProviderOverview known_providers;
    engine::QueueQuestion asked_queues;
    engine::SiteQuestion asked_sites;
    engine::TraceFilter asked_trace;
    engine::TraceRead traced{.seated = true};
    uint64_t trace_viewer = 0;
    bool trace_left = false;
};

using engine::InlineWorker;

/// All shards on one thread; what is sent runs in the next round of the loop.
class LoopPost final : public engine::Post {
  public:
    LoopPost(TestReactor& reactor, engine::ShardId self, engine::ShardId count)
        : reactor_(reactor), self_(self), count_(count) {}
    engine::ShardId self() const override { return self_; }
    engine::ShardId count() const override { return count_; }
    void send(engine::ShardId to, std::move_only_function<void()> work) override;
    size_t waiting() const override { return 0; }

  private:
    TestReactor& reactor_;
    engine::ShardId self_, count_;
};

struct Reply {
    int status = 0;
    std::map<std::string, std::string> fields;  // names in lower case
    std::string body;                           // without chunks
};

/// A shard with its HTTP server.
class TestShard {
  public:
    TestShard();
    ~TestShard();

    std::shared_ptr<Wire> connect();
    /// Settles and takes all whole replies off the wire. `heads` are requests whose replies have no
    /// body.
    std::vector<Reply> replies(Wire& wire, bool head = false);
    /// On a connection of its own, which stays open.
    Reply request(std::string_view method, std::string_view target, std::string_view body = {},
                  std::string_view type = "application/json", std::string_view more_fields = {});
    Reply post(std::string_view body, std::string_view query = {},
               std::string_view more_fields = {}) {
        return request("POST", "/v1/messages" + std::string(query), body, "application/json",
                       more_fields);
    }

    TestReactor reactor;
    std::filesystem::path directory;
    std::unique_ptr<storage::Store> store;
    bool draining = false;
    KeepingIntake intake{reactor};
    TestFeed feed{reactor};
    TestNode node;
    InlineWorker worker;
    LoopPost post_0{reactor, 0, 2}, post_1{reactor, 1, 2};
    metrics::Registry registry;
    IdempotencyKeys keys{2};
    ApiKeys api_keys{{}};
    std::unique_ptr<HttpContext> context;
    engine::Scope scope;
    std::vector<std::shared_ptr<Wire>> wires;
};

std::string http(std::string_view method, std::string_view target, std::string_view body = {},
                 std::string_view type = "application/json", std::string_view more_fields = {});
/// Takes one reply off the front of `bytes`; nullopt when it is not whole.
std::optional<Reply> take_reply(std::string& bytes, bool head = false);
std::vector<std::string> lines_of(std::string_view text);

}  // namespace ingest::test

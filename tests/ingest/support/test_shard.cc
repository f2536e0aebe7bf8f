#include "tests/ingest/support/test_shard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace ingest::test {

void TestReactor::settle() {
    while (!ready_.empty()) {
        const auto handle = ready_.front();
        ready_.pop_front();
        handle.resume();
    }
}

void TestReactor::advance(std::chrono::milliseconds by) {
    settle();
    const Instant until = now_ + by;
    while (true) {
        const auto next = std::ranges::min_element(timers_, {}, &Timer::deadline);
        if (next == timers_.end() || next->deadline > until) break;
        now_ = std::max(now_, next->deadline);
        const auto handle = next->handle;
        timers_.erase(next);
        handle.resume();
        settle();
    }
    now_ = until;
}

namespace {

struct Sleep {
    TestReactor& reactor;
    Instant deadline;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { reactor.at(deadline, handle); }
    void await_resume() const noexcept {}
};
struct Yield {
    TestReactor& reactor;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { reactor.post(handle); }
    void await_resume() const noexcept {}
};
struct AwaitBytes {
    TestReactor& reactor;
    Wire& wire;
    Instant deadline;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const {
        wire.reader = handle;
        reactor.at(deadline, handle);
    }
    void await_resume() const noexcept {
        if (wire.reader) reactor.take_back(wire.reader);
        wire.reader = nullptr;
    }
};
Task<> run_posted(TestReactor* reactor, std::move_only_function<void()> work) {
    co_await Yield{*reactor};
    work();
}
engine::Scope& posted() {
    static engine::Scope scope;
    return scope;
}

}  // namespace

Task<Result<std::string_view>> MemoryStream::read() {
    const Instant deadline = deadline_;
    co_await Yield{reactor_};
    while (wire_->to_server.empty()) {
        if (wire_->client_closed) co_return engine::failure(engine::Errc::closed);
        if (reactor_.now() >= deadline) co_return engine::failure(engine::Errc::timeout);
        co_await AwaitBytes{reactor_, *wire_, deadline};
    }
    given_ = wire_->to_server.substr(0, wire_->piece);
    wire_->to_server.erase(0, given_.size());
    co_return std::string_view(given_);
}

Task<Result<void>> MemoryStream::write(std::span<const std::string_view> chunks) {
    const Instant deadline = deadline_;
    co_await Yield{reactor_};
    if (wire_->write_hangs) {
        co_await Sleep{reactor_, deadline};
        co_return engine::failure(engine::Errc::timeout);
    }
    if (wire_->write_fails) co_return engine::failure(engine::Errc::reset);
    for (const std::string_view chunk : chunks) wire_->from_server += chunk;
    co_return {};
}

Task<std::expected<void, engine::Refusal>> KeepingIntake::accept(
    std::vector<engine::JobPart> parts, std::vector<storage::IdempotencyRecord> records) {
    if (refuses) co_return std::unexpected(*refuses);
    in_flight_most = std::max(in_flight_most, ++in_flight);
    if (commit_takes > 0ms) co_await Sleep{reactor_, reactor_.now() + commit_takes};
    co_await Yield{reactor_};
    --in_flight;
    if (refuses_commit) co_return std::unexpected(*refuses_commit);
    ++commits;
    for (engine::JobPart& part : parts) {
        recipients += part.recipients.size();
        part.job->recipients += static_cast<uint32_t>(part.recipients.size());
        if (!keep) continue;
        Kept& kept = jobs[part.job->job.id];
        CHECK(!kept.ended, "a job got recipients after its end");
        kept.job = part.job->job;
        kept.content = part.job->content;
        kept.send_at = part.job->send_at;
        kept.expires_in = part.job->expires_in;
        for (auto& recipient : part.recipients) kept.recipients.push_back(std::move(recipient));
        kept.ended = part.last;
    }
    if (store && !records.empty()) {
        storage::Batch batch;
        batch.idempotency = std::move(records);
        CHECK(store->commit(std::span(&batch, 1), 0, commits).has_value(),
              "the test's store failed");
    }
    co_return {};
}

Task<> TestFeed::wait_beyond(uint64_t seq, Instant deadline) {
    while (last_ <= seq && reactor_.now() < deadline) {
        struct Wait {
            TestFeed& feed;
            Instant deadline;
            std::coroutine_handle<> self;
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> handle) {
                self = handle;
                feed.waiting_.push_back(handle);
                feed.reactor_.at(deadline, handle);
            }
            void await_resume() {
                feed.reactor_.take_back(self);
                std::erase(feed.waiting_, self);
            }
        };
        co_await Wait{*this, deadline, {}};
    }
}

void TestFeed::advance(uint64_t upto) {
    last_ = upto;
    for (const auto handle : std::exchange(waiting_, {})) reactor_.post(handle);
}

void LoopPost::send(engine::ShardId, std::move_only_function<void()> work) {
    posted().spawn(run_posted(&reactor_, std::move(work)));
}

TestShard::TestShard() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-http-XXXXXX").string();
    CHECK(mkdtemp(name.data()) != nullptr, "no temporary directory");
    directory = name;
    auto opened = storage::Store::open({.data_dir = directory});
    CHECK(opened.has_value(), "the test's store does not open");
    store = std::move(*opened);
    intake.store = store.get();
    keys.attach(post_0);
    keys.attach(post_1);
    context = std::make_unique<HttpContext>(HttpContext{.reactor = reactor,
                                                        .post = post_0,
                                                        .worker = worker,
                                                        .long_work = worker,
                                                        .store = *store,
                                                        .intake = intake,
                                                        .feed = feed,
                                                        .node = node,
                                                        .metrics = registry,
                                                        .idempotency = keys,
                                                        .draining = draining,
                                                        .api_keys = api_keys,
                                                        .node_name = "node.test",
                                                        .version = "0.1.0"});
}

TestShard::~TestShard() {
    for (const auto& wire : wires) {
        wire->client_closed = true;
        if (wire->reader) reactor.post(wire->reader);
    }
    reactor.advance(200s);
    CHECK(scope.running() == 0, "a connection outlived its peer");
    context.reset();
    store.reset();
    std::filesystem::remove_all(directory);
}

std::shared_ptr<Wire> TestShard::connect() {
    auto wire = std::make_shared<Wire>();
    wires.push_back(wire);
    scope.spawn(serve_http(std::make_unique<MemoryStream>(reactor, wire), *context));
    return wire;
}

std::vector<Reply> TestShard::replies(Wire& wire, bool head) {
    // A reader that sleeps looks again: bytes may have come.
    if (wire.reader && !wire.to_server.empty()) reactor.post(wire.reader);
    reactor.advance(0ms);
    std::vector<Reply> out;
    while (auto reply = take_reply(wire.from_server, head)) out.push_back(std::move(*reply));
    return out;
}

Reply TestShard::request(std::string_view method, std::string_view target, std::string_view body,
                         std::string_view type, std::string_view more_fields) {
    const auto wire = connect();
    wire->to_server = http(method, target, body, type, more_fields);
    auto all = replies(*wire, method == "HEAD");
    return all.empty() ? Reply{} : all.front();
}

std::string http(std::string_view method, std::string_view target, std::string_view body,
                 std::string_view type, std::string_view more_fields) {
    std::string out = fmt::format("{} {} HTTP/1.1\r\nHost: x\r\n{}", method, target, more_fields);
    if (method == "POST")
        out += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", type, body.size());
    return out.append("\r\n").append(body);
}

namespace {
std::optional<std::string> take_chunks(std::string& bytes, size_t at) {
    std::string body;
    while (true) {
        const size_t end = bytes.find("\r\n", at);
        if (end == std::string::npos) return std::nullopt;
        const size_t size = std::stoul(bytes.substr(at, end - at), nullptr, 16);
        if (bytes.size() < end + 2 + size + 2) return std::nullopt;
        body += bytes.substr(end + 2, size);
        at = end + 2 + size + 2;
        if (size > 0) continue;
        bytes.erase(0, at);
        return body;
    }
}
}  // namespace

std::optional<Reply> take_reply(std::string& bytes, bool head) {
    const size_t end = bytes.find("\r\n\r\n");
    if (end == std::string::npos) return std::nullopt;
    Reply out;
    out.status = std::stoi(bytes.substr(9, 3));
    size_t at = bytes.find("\r\n") + 2;
    while (at < end + 2) {
        const size_t stop = bytes.find("\r\n", at), colon = bytes.find(": ", at);
        if (colon >= stop) break;
        std::string name = bytes.substr(at, colon - at);
        std::ranges::transform(name, name.begin(),
                               [](char c) { return static_cast<char>(std::tolower(c)); });
        out.fields[name] = bytes.substr(colon + 2, stop - colon - 2);
        at = stop + 2;
    }
    if (head || out.status == 100) {
        bytes.erase(0, end + 4);
        return out;
    }
    if (out.fields.contains("transfer-encoding")) {
        auto body = take_chunks(bytes, end + 4);
        if (!body) return std::nullopt;
        out.body = std::move(*body);
        return out;
    }
    const size_t length = std::stoul(out.fields["content-length"]);
    if (bytes.size() < end + 4 + length) return std::nullopt;
    out.body = bytes.substr(end + 4, length);
    bytes.erase(0, end + 4 + length);
    return out;
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        out.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

}  // namespace ingest::test

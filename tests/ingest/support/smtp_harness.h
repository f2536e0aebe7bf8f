// A submission session against a Stream in memory and an Intake that only remembers.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/reactor/scope.h"
#include "ingest/smtp_server.h"
#include "tests/engine/reactor/support/inline_worker.h"

namespace ingest::smtp_testing {

class ManualClock : public engine::Clock {
  public:
    engine::Instant now() const override { return now_; }
    engine::WallTime wall() const override { return {}; }
    void set(engine::Instant now) { now_ = std::max(now_, now); }

  private:
    engine::Instant now_{std::chrono::hours(1)};
};

/// What the client sends, segment by segment; then it is silent or closes. An empty segment is
/// silence until the server's patience ends once.
class MemoryStream : public engine::Stream {
  public:
    enum class End : uint8_t { closed, silent };
    struct Seen {
        std::string output;
        bool closed = false;
        std::chrono::milliseconds gap{0};  // before each segment
    };
    MemoryStream(ManualClock& clock, std::deque<std::string> segments, End end, Seen& seen,
                 std::string peer)
        : clock_(clock),
          segments_(std::move(segments)),
          end_(end),
          seen_(seen),
          peer_(std::move(peer)) {}

    engine::Task<engine::Result<std::string_view>> read() override {
        current_.reset();
        if (closed_) co_return engine::failure(engine::Errc::closed);
        clock_.set(std::min(deadline_, clock_.now() + seen_.gap));
        if (seen_.gap.count() > 0 && clock_.now() >= deadline_)
            co_return engine::failure(engine::Errc::timeout);
        if (!segments_.empty()) {
            current_ = std::make_unique<std::string>(std::move(segments_.front()));
            current_->shrink_to_fit();
            segments_.pop_front();
            if (current_->empty()) {
                clock_.set(deadline_);
                co_return engine::failure(engine::Errc::timeout);
            }
            co_return std::string_view(*current_);
        }
        if (end_ == End::closed) co_return engine::failure(engine::Errc::closed);
        clock_.set(deadline_);
        co_return engine::failure(engine::Errc::timeout);
    }
    engine::Task<engine::Result<void>> write(std::span<const std::string_view> chunks) override {
        for (const std::string_view chunk : chunks) seen_.output += chunk;
        co_return engine::Result<void>();
    }
    void expires_at(engine::Instant deadline) override { deadline_ = deadline; }
    void close() override { closed_ = seen_.closed = true; }
    std::string peer() const override { return peer_; }

  private:
    ManualClock& clock_;
    std::deque<std::string> segments_;
    const End end_;
    Seen& seen_;
    const std::string peer_;
    std::unique_ptr<std::string> current_;
    engine::Instant deadline_{};
    bool closed_ = false;
};

class RememberingIntake : public engine::Intake {
  public:
    storage::JobId new_job_id() override { return storage::JobId(++last_id); }
    storage::WallTime now() const override {
        return storage::WallTime(std::chrono::sys_days{std::chrono::year{2026} / 11 / 22});
    }
    const std::string& node_name() const override { return name; }
    std::optional<engine::Refusal> refusal() const override { return refuses_early; }
    engine::Task<std::expected<void, engine::Refusal>> accept(
        std::vector<engine::JobPart> given,
        std::vector<storage::IdempotencyRecord> given_records) override {
        if (on_accept) on_accept();
        if (refuses) co_return std::unexpected(*refuses);
        for (auto& record : given_records) records.push_back(std::move(record));
        for (auto& part : given) parts.push_back(std::move(part));
        co_return std::expected<void, engine::Refusal>();
    }

    std::string name = "out1.example";
    uint64_t last_id = 0;
    std::optional<engine::Refusal> refuses_early, refuses;
    std::function<void()> on_accept;
    std::vector<engine::JobPart> parts;
    std::vector<storage::IdempotencyRecord> records;
};

using engine::InlineWorker;

/// One shard, which answers itself at once.
class InlinePost : public engine::Post {
  public:
    engine::ShardId self() const override { return 0; }
    engine::ShardId count() const override { return 1; }
    void send(engine::ShardId, std::move_only_function<void()> work) override { work(); }
    size_t waiting() const override { return 0; }
};

struct Harness {
    ManualClock clock;
    InlineWorker worker;
    RememberingIntake intake;
    metrics::Registry metrics;
    bool draining = false;
    SmtpServerContext context{clock, worker, intake, metrics, draining};
    MemoryStream::Seen seen;
    std::string peer = "127.0.0.1:40000";
    std::chrono::milliseconds gap{0};
    InlinePost post;
    std::unique_ptr<Logins> logins;
    std::unique_ptr<LoginDesk> desk;

    /// From here on AUTH is offered.
    void know(std::vector<Credential> credentials) {
        logins = std::make_unique<Logins>(clock, worker, std::move(credentials));
        desk = std::make_unique<LoginDesk>(LoginDesk{post, post, *logins});
        context.logins = desk.get();
    }

    /// Runs one session to its end and returns what the server wrote.
    std::string talk(std::deque<std::string> segments,
                     MemoryStream::End end = MemoryStream::End::closed,
                     SmtpPort port = SmtpPort::plain) {
        seen = {.gap = gap};
        engine::Scope scope;
        scope.spawn(
            serve_smtp(std::make_unique<MemoryStream>(clock, std::move(segments), end, seen, peer),
                       &context, port));
        EXPECT_EQ(scope.running(), 0u) << "the session waits for ever";
        EXPECT_EQ(context.in_hand_bytes, 0u);
        EXPECT_TRUE(context.streams.empty());
        return seen.output;
    }
    /// The message as its `part`-th job would send it.
    std::string rendered(size_t part = 0) const {
        const engine::JobPart& p = intake.parts.at(part);
        const std::string& to = p.recipients.at(0).address;
        return p.job->content->render({.id = {p.job->job.id, 0}, .to = to, .vars = {}});
    }
};

/// The codes of all replies, the last line of each: "220 250 250".
inline std::string codes(const std::string& output) {
    std::string result;
    for (size_t at = 0; at + 3 < output.size(); at = output.find("\r\n", at) + 2) {
        if (output[at + 3] == ' ') result += (result.empty() ? "" : " ") + output.substr(at, 3);
    }
    return result;
}

}  // namespace ingest::smtp_testing

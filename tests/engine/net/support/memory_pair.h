// Two streams that are each other's peer, without sockets or a reactor: what one writes the other
// reads, in segments as small as the test wants. Nothing waits for time: run() goes on until
// nobody can.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <coroutine>
#include <deque>
#include <string>

#include "engine/net/stream.h"
#include "engine/reactor/scope.h"

namespace engine::test {

class MemoryPair {
  public:
    class End final : public Stream {
      public:
        explicit End(MemoryPair& pair) : pair_(pair) {}

        Task<Result<std::string_view>> read() override {
            CHECK(!reader_, "two tasks read from one stream");
            while (inbox_.empty() && !closed_ && !peer_->closed_ && !pair_.late_)
                co_await Waiting{*this};
            if (closed_) co_return failure(Errc::closed, "closed");
            if (!inbox_.empty()) {
                segment_ = inbox_.substr(0, pair_.segment_);
                inbox_.erase(0, segment_.size());
                co_return std::string_view(segment_);
            }
            if (peer_->closed_) co_return failure(Errc::closed, "the peer closed the connection");
            co_return failure(Errc::timeout, "nothing came");
        }
        Task<Result<void>> write(std::span<const std::string_view> chunks) override {
            if (closed_ || peer_->closed_) co_return failure(Errc::reset, "the peer is gone");
            for (const std::string_view chunk : chunks) {
                peer_->inbox_ += chunk;
                written_ += chunk;
                if (written_.size() > cut_after_) {
                    peer_->inbox_.resize(peer_->inbox_.size() - (written_.size() - cut_after_));
                    written_.resize(cut_after_);
                    close();
                    co_return failure(Errc::reset, "the line was cut");
                }
            }
            peer_->wake();
            co_return Result<void>();
        }
        void expires_at(Instant) override {}
        void close() override {
            closed_ = true;
            wake();
            peer_->wake();
        }
        std::string peer() const override { return "memory"; }

        void put(std::string_view bytes) {  // as if the peer had written them
            inbox_ += bytes;
            wake();
        }
        const std::string& written() const { return written_; }
        void cut_after(size_t octets) { cut_after_ = octets; }  // the line breaks there
        bool closed() const { return closed_; }

      private:
        friend MemoryPair;
        struct Waiting {
            End& end;
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> reader) const { end.reader_ = reader; }
            void await_resume() const noexcept {}
        };
        void wake() {
            if (reader_) pair_.ready_.push_back(std::exchange(reader_, nullptr));
        }
        MemoryPair& pair_;
        End* peer_ = nullptr;
        std::coroutine_handle<> reader_;
        std::string inbox_, segment_, written_;
        size_t cut_after_ = SIZE_MAX;
        bool closed_ = false;
    };

    explicit MemoryPair(size_t segment = SIZE_MAX) : segment_(segment), a_(*this), b_(*this) {
        a_.peer_ = &b_;
        b_.peer_ = &a_;
    }
    End& a() { return a_; }
    End& b() { return b_; }

    /// Until everybody waits for something; then, for those that do, time is over.
    void run() {
        drain();
        late_ = true;
        a_.wake();
        b_.wake();
        drain();
        late_ = false;
    }
    /// Until everybody waits for something.
    void drain() {
        while (!ready_.empty()) {
            const auto next = ready_.front();
            ready_.pop_front();
            next.resume();
        }
    }

  private:
    size_t segment_;
    bool late_ = false;
    std::deque<std::coroutine_handle<>> ready_;
    End a_, b_;
};

class FixedClock final : public Clock {
  public:
    Instant now() const override { return now_; }
    WallTime wall() const override { return {}; }
    void advance(Instant::duration by) { now_ += by; }

  private:
    Instant now_{std::chrono::hours(1)};
};

}  // namespace engine::test

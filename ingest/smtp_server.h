// The submission server: RFC 5321 and 6409 over a Stream, one coroutine a connection. 250 to a
// message means that Intake has it on disk.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <unordered_set>

#include "engine/delivery/intake.h"
#include "engine/net/stream.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/worker.h"
#include "metrics/metric.h"

namespace ingest {

struct SmtpLimits {
    static constexpr uint64_t message_bytes_max = 50ull << 20;
    static constexpr uint64_t in_hand_bytes_max = 256ull
                                                  << 20;  // of all messages that come in, per shard
    static constexpr size_t recipients_max = 10'000;      // per transaction
    static constexpr size_t command_octets_max = 4096;
    static constexpr size_t errors_max =
        20;  // of syntax and sequence since the last message; then 421
    static constexpr size_t replies_bytes_max =
        size_t{16} * 1024;  // gathered before they are written
    static constexpr size_t compile_here_bytes_max =
        size_t{64} * 1024;                          // larger messages: on the worker
    static constexpr std::chrono::minutes idle{5};  // for a command, and per read of content
    static constexpr std::chrono::seconds drain_notice{1};  // in which an idle session sees a drain
    static constexpr std::chrono::seconds linger{2};        // reads on after a refusal, so that a
                                                            // reset does not overtake the reply
};

/// What all SMTP sessions of one shard share. Made by the daemon; outlives them.
struct SmtpServerContext {
    engine::Clock& clock;
    engine::Worker& worker;
    engine::Intake& intake;
    metrics::Registry& metrics;
    const bool&
        draining;  // sessions end with 421 within drain_notice, or after the message in hand

    uint64_t in_hand_bytes = 0;
    std::unordered_set<engine::Stream*> streams;  // of the sessions that run
    /// Ends all sessions, wherever they are; what they have not answered with 250 is not ours.
    void close_all() {
        for (engine::Stream* stream : streams) stream->close();
    }
};

/// Serves one connection until it ends. Peers other than loopback and Unix sockets get 554: there
/// is no authentication yet, and an open relay is worse than none.
engine::Task<> serve_smtp(std::unique_ptr<engine::Stream> stream, SmtpServerContext* context);

}  // namespace ingest

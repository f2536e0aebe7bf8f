// The submission server: RFC 5321 and 6409 over a Stream, one coroutine a connection. 250 to a
// message means that Intake has it on disk.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <unordered_set>
#include <vector>

#include "engine/delivery/intake.h"
#include "engine/dns/address_policy.h"
#include "engine/net/stream.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/worker.h"
#include "ingest/idempotency.h"
#include "ingest/logins.h"
#include "metrics/metric.h"

namespace engine {
class TlsContext;
}

namespace ingest {

struct SmtpLimits {
    static constexpr uint64_t message_bytes_max = 50ull << 20;
    static constexpr uint64_t in_hand_bytes_max = 256ull
                                                  << 20;  // of all messages that come in, per shard
    static constexpr size_t recipients_max = 10'000;      // per transaction
    static constexpr size_t refused_recipients_max = 10'000;  // likewise; then 421
    static constexpr size_t transactions_max = 10'000;        // per session; then 421
    static constexpr size_t command_octets_max = 4096;
    static constexpr size_t commands_max = 1'000;  // in a row that hand over nothing; then 421
    static constexpr size_t commands_before_login_max = 50;  // of who must log in
    static constexpr size_t errors_max =
        20;  // of syntax and sequence since the last message; then 421
    static constexpr size_t logins_failed_max = 3;  // per session; then 421
    static constexpr size_t replies_bytes_max =
        size_t{16} * 1024;  // gathered before they are written
    static constexpr size_t compile_here_bytes_max =
        size_t{64} * 1024;  // larger messages: on the worker
    static constexpr uint64_t skipped_bytes_max = 2 * message_bytes_max;  // of refused content
    static constexpr std::chrono::minutes idle{5};   // for a command, and per read of content
    static constexpr std::chrono::minutes login{2};  // until a stranger has logged in
    static constexpr std::chrono::seconds login_answer{
        2};  // a wrong password is told so after this
    static constexpr std::chrono::milliseconds early_talk{20};  // before the greeting, of strangers
    static constexpr std::chrono::minutes handshake{1};
    // A message must come at this pace on average, and whole within the last.
    static constexpr std::chrono::minutes content_grace{2};
    static constexpr uint64_t content_bytes_per_second_min = 4096;
    static constexpr std::chrono::minutes content_total_max{60};
    static constexpr std::chrono::seconds drain_notice{1};  // in which an idle session sees a drain
    static constexpr std::chrono::seconds linger{2};        // reads on after a refusal, so that a
                                                            // reset does not overtake the reply
};

/// Who may submit, and how well protected. The same for all shards.
struct SmtpAccess {
    /// Peers from there need no login and may name any tenant; so may those of Unix sockets, whose
    /// files have permissions.
    std::vector<engine::AddressRange> trusted;
    std::shared_ptr<const engine::TlsContext> tls;  // null: neither STARTTLS nor implicit TLS

    bool trusts(const std::string& ip) const;
    static SmtpAccess of_this_host();  // trusts loopback, has no TLS
};

/// What all SMTP sessions of one shard share. Made by the daemon; outlives them.
struct SmtpServerContext {
    engine::Clock& clock;
    engine::Worker& worker;
    engine::Intake& intake;
    metrics::Registry& metrics;
    const bool&
        draining;  // sessions end with 421 within drain_notice, or after the message in hand
    SmtpAccess access = SmtpAccess::of_this_host();
    LoginDesk* logins = nullptr;  // null: AUTH is not offered
    KeyDesk* keys = nullptr;      // null: X-Sluice-Idempotency-Key is refused

    uint64_t in_hand_bytes = 0;
    std::unordered_set<engine::Stream*> streams;  // of the sessions that run
    /// Ends all sessions, wherever they are; what they have not answered with 250 is not ours.
    void close_all() {
        for (engine::Stream* stream : streams) stream->close();
    }
};

enum class SmtpPort : uint8_t { plain, tls };  // tls: the handshake comes first (RFC 8314 3.3)

/// Serves one connection until it ends. A stranger who has not logged in hands over nothing: an
/// open relay is worse than none.
engine::Task<> serve_smtp(std::unique_ptr<engine::Stream> stream, SmtpServerContext* context,
                          SmtpPort port = SmtpPort::plain);
/// Says 421 with this reason and closes: more connections than a limit allows.
engine::Task<> refuse_smtp(std::unique_ptr<engine::Stream> stream, SmtpServerContext* context,
                           const char* why);

}  // namespace ingest

// The records of the ledger as plain values. storage/ knows no mail: content, variables and meta are bytes to it.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace storage {

/// Wall-clock time: only for what is stored or shown, never for timeouts.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

/// One submission. Time-ordered (ids.h has the layout), unique over restarts; shown as 13 characters of Crockford's
/// base 32.
enum class JobId : uint64_t {};

/// One recipient of one job: its place in the job's list. Shown as "<job>-<index>".
struct DeliveryId {
    JobId job{};
    uint32_t index = 0;
    auto operator<=>(const DeliveryId&) const = default;
};

/// A queue's name on disk: the first 128 bits of SHA-256 over (tenant, campaign, class, domain), so that every shard
/// finds it without asking and nobody can craft two domains that share one.
struct QueueId {
    uint64_t high = 0;
    uint64_t low = 0;
    auto operator<=>(const QueueId&) const = default;
};

enum class Class : uint8_t { transactional = 0, bulk = 1 };

/// The deliveries that share these four wait together, in due order.
struct QueueInfo {
    std::string tenant;
    std::string campaign;
    Class klass = Class::bulk;
    std::string domain;  // lower case, A-labels
    bool operator==(const QueueInfo&) const = default;
};

/// Which commit accepted a delivery. A home shard compares it with what it has been told of, and so knows exactly
/// whether a row that it finds on disk is still to be announced to it or not (engine/delivery/home.h).
struct AcceptMark {
    uint32_t boot = 0;    // counts starts of the daemon on this data_dir
    uint16_t shard = 0;   // that accepted it
    uint64_t group = 0;   // counts that shard's commit groups since its start
};

/// What the sender wants to be told of one recipient (RFC 3461 NOTIFY), as bits; 0: not stated.
namespace notify {
inline constexpr uint8_t never = 1, success = 2, failure = 4, delay = 8;
}

/// Whether an earlier attempt may have reached the receiver without our knowing (RFC 1047), and what
/// follows from it.
enum class Doubt : uint8_t {
    none,
    may_be_duplicate,  // the next attempt says so
    held               // not sent until an operator decides; due when it expires
};

struct Delivery {
    DeliveryId id;
    QueueId queue;
    std::string recipient;  // as the submitter wrote it
    std::string vars;       // encoded by engine/message; opaque here
    std::string meta;       // the submitter's JSON, as it was; empty when none
    uint8_t notify = 0;     // bits of storage::notify
    std::string orcpt;      // RFC 3461 ORCPT, "rfc822;ann@x.test", xtext decoded; empty when none
    uint32_t attempts = 0;
    Doubt doubt = Doubt::none;
    WallTime accepted{};
    WallTime due{};
    WallTime expires{};
    AcceptMark mark;        // set by Store::commit when the delivery is new (attempts == 0 and mark.group == 0)
};

/// Names one row of the delivery family. A deferral moves the row: remove the old key, put the new one.
struct DeliveryKey {
    QueueId queue;
    WallTime due{};
    DeliveryId id;
    auto operator<=>(const DeliveryKey&) const = default;
};
inline DeliveryKey key_of(const Delivery& d) { return {d.queue, d.due, d.id}; }

struct Event {
    enum class Type : uint8_t {
        accepted, delivered, deferred, bounced, expired, cancelled, suppressed, complaint, async_bounce
    };
    uint64_t seq = 0;  // given by Store::commit
    Type type = Type::accepted;
    WallTime time{};
    DeliveryId delivery;
    std::string tenant, campaign;
    Class klass = Class::bulk;
    std::string from, to, domain;           // envelope
    std::string site, provider, mx, ip, source;
    uint32_t attempt = 0;                   // 1 for the first
    std::string stage;                      // dns connect banner ehlo tls mail rcpt data body; empty when none
    uint16_t code = 0;                      // of the reply; 0 when there was none
    std::string enhanced, reply;
    std::string bounce_class, bounce_kind;  // kind: hard soft block admin undetermined
    std::optional<WallTime> next_attempt;
    uint64_t queue_ms = 0;                  // due to start of the attempt
    uint64_t smtp_ms = 0;                   // start of the attempt to its last reply
    std::string tls, meta;
    bool in_doubt = false;                  // content went out whole and no answer came: a later attempt may be a
                                            // duplicate (RFC 1047)
    bool may_be_duplicate = false;          // of a delivery of which an earlier event said in_doubt
};
/// True for the types after which a delivery no longer exists.
constexpr bool is_terminal(Event::Type t) {
    return t == Event::Type::delivered || t == Event::Type::bounced || t == Event::Type::expired ||
           t == Event::Type::cancelled || t == Event::Type::suppressed;
}

/// How much of the mail a delivery status notification gives back (RFC 3461 RET).
enum class DsnReturn : uint8_t { unstated = 0, headers = 1, full = 2 };

/// What the submitter says of TLS: what policy says, REQUIRETLS, or "TLS-Required: No" (RFC 8689).
enum class TlsRequest : uint8_t { by_policy = 0, required = 1, optional = 2 };

/// A job's row: what its deliveries need to be sent. The counts beside it are kept by the store from the events.
struct Job {
    JobId id{};
    std::string tenant, campaign, pool;
    Class klass = Class::bulk;
    std::string sender;   // envelope sender; empty is the null reverse-path
    WallTime created{};
    std::string envid;    // RFC 3461 ENVID, xtext decoded; empty when none
    DsnReturn ret = DsnReturn::unstated;
    bool reports = false;  // delivery status notifications go to the sender
    TlsRequest tls = TlsRequest::by_policy;
    std::string content;  // encoded by engine/message; stored in its own family, dropped with the last delivery
};

struct JobCounts {
    uint64_t accepted = 0, delivered = 0, bounced = 0, expired = 0, cancelled = 0, suppressed = 0;
    uint64_t deferrals = 0;  // attempts that were put off; not a state
    uint64_t open() const { return accepted - delivered - bounced - expired - cancelled - suppressed; }
};
struct JobStatus {
    Job job;  // without content
    JobCounts counts;
    bool complete = false;            // no more recipients will come
    std::optional<WallTime> finished; // when the last delivery ended
};

/// The answer that an idempotency key repeats.
struct IdempotencyRecord {
    std::string tenant, key;
    std::string digest;  // SHA-256 of the request
    std::string answer;
    WallTime expires{};
};

/// The list of everybody: no tenant is called so.
inline constexpr std::string_view every_tenant = "*";

/// An address that no mail of a tenant, or of anybody, is sent to.
struct Suppression {
    std::string tenant;   // whose list: a tenant, or every_tenant
    std::string address;  // as the engine compares it
    std::string reason;   // for people
    std::string source;   // who entered it: api, import, bounce
    WallTime time{};
};

/// One value that the engine wants to know after a restart; see Store::put_notes.
struct Note {
    std::string name, value;
    bool operator==(const Note&) const = default;
};
/// A note that becomes durable with a batch.
struct KindNote {
    std::string kind;
    Note note;
};

/// Becomes durable as a whole or not at all: a finished delivery leaves and its event arrives together.
/// The store keeps the ledger (per tenant and per job) from `events`; nobody writes counts by hand.
struct Batch {
    std::vector<Job> jobs;              // new jobs; held open until job_ends names them
    std::vector<JobId> job_ends;        // no more recipients will come: the content may go with the last delivery
    std::vector<std::pair<QueueId, QueueInfo>> queues;  // rows to write if they may be new
    std::vector<Delivery> puts;
    std::vector<DeliveryKey> removes;
    std::vector<Event> events;
    std::vector<IdempotencyRecord> idempotency;
    std::vector<KindNote> notes;        // an empty value removes one
    std::vector<Suppression> suppressions;  // entered with the events that are their reason
};

enum class Errc : uint8_t {
    io,         // a write, read or sync failed; the store refuses writes until it is opened again
    no_space,   // the disk is full; writes are refused until there is room
    corruption, // a checksum or a record did not hold
    locked,     // another process has the data_dir open
    invalid     // what was asked for cannot be
};
struct Error {
    Errc code{};
    std::string what;  // for the operator: what, where, how to mend it
};
template <class T> using Result = std::expected<T, Error>;

}  // namespace storage

template <> struct std::hash<storage::QueueId> {
    size_t operator()(const storage::QueueId& q) const noexcept { return q.high ^ q.low; }
};
template <> struct std::hash<storage::DeliveryId> {
    size_t operator()(const storage::DeliveryId& d) const noexcept {
        return (static_cast<uint64_t>(d.job) + d.index) * 0x9e3779b97f4a7c15ULL;
    }
};

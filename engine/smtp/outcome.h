// What became of a transaction: one verdict per recipient, and what to do with the connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/smtp/depth.h"
#include "engine/reactor/result.h"
#include "engine/smtp/reply.h"

namespace engine {

/// Where an attempt was when it was decided. The names are those of the events (INTERFACES: stage).
enum class Stage : uint8_t { none, dns, connect, banner, ehlo, tls, mail, rcpt, data, body };
std::string_view to_string(Stage stage);

/// What went wrong, where it is not the reply alone that says so. What follows from it is decided
/// in one table (engine/delivery/outcome_table.h).
enum class Failure : uint8_t {
    none,               // nothing, or the reply's code says it
    no_domain,          // DNS: the name does not exist
    null_mx,            // DNS: it takes no mail (RFC 7505)
    dns_failed,         // DNS: no answer, or one that cannot be used
    no_address,         // DNS: hosts, but none with an address
    address_refused,    // ours: only to addresses that policy forbids
    own_host,           // DNS: its best host is this one
    bad_name,           // DNS: not a name at all
    refused,            // nobody listens there
    no_answer,          // no connection within its time
    unreachable,        // no way there
    timeout,            // connected, then silent
    closed,             // the host ended the connection without a word
    cut,                // reset, by the host or on the way
    garbage,            // not a reply
    out_of_step,        // a reply, but not to what was asked
    dialogue,           // 500 to 503 inside a pipelined group
    end_of_connection,  // 421, "too many messages": about the connection
    transaction_full,   // 452 too many recipients behind accepted ones
    cannot_carry,    // ours: the host lacks an extension that this mail needs, or it is too large
    no_tls,          // not offered, or 454, where it is demanded
    tls_failed,      // the handshake
    tls_untrusted,   // the certificate, where a valid one is demanded
    policy_unknown,  // what TLS is demanded could not be looked up (TLSA)
    no_credentials,  // AUTH refused or impossible
    content_lost     // ours: the store cannot give the mail
};
std::string_view to_string(Failure failure);
/// Of an error of the stream while a reply was waited for.
Failure failure_of(Errc code);

/// What became of one recipient in one attempt.
struct Verdict {
    enum class Kind : uint8_t {
        delivered,  // the receiver answered 250 to the content: it is theirs now
        deferred,   // try later: 4yz, a lost connection, a timeout
        bounced,    // never: 5yz to this recipient or to the content
        untried  // the receiver never judged it, because the connection had come to its end or the
                 // transaction was full: it goes again at once (another connection, or the next
                 // transaction when this one stays usable) and counts as no attempt. Never given
                 // to a whole first transaction of a connection, so it cannot repeat for ever
    };
    Kind kind = Kind::deferred;
    Stage stage = Stage::none;
    Reply reply;  // code 0: there was none; `text` says what happened ("timed out after 300 s …")
    bool in_doubt = false;  // content went out whole and no answer came: a retry may be a duplicate
                            // (RFC 1047)
    Failure failure = Failure::none;
};
std::string_view to_string(Verdict::Kind kind);

struct Outcome {
    std::vector<Verdict> verdicts;  // one per recipient, in order
    bool connection_usable = true;  // false: close it, without QUIT: it is lost or out of step
    bool lock_step = false;  // the host lost its way in a pipelined group: what was deferred may be
                             // fine. Set Mail::lock_step towards this host from now on
    std::chrono::nanoseconds envelope{};  // first command to the last reply before the content
    std::chrono::nanoseconds content{};   // from then to the reply to the content; 0: none was sent
    std::chrono::nanoseconds whole{};     // from its first octet to its last reply
    Depth depth = Depth::lock_step;  // at which it was written
    uint32_t in_flight = 0;  // messages on the connection when this one was begun, with it; 0: never
};

}  // namespace engine

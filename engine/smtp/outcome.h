// What became of a transaction: one verdict per recipient, and what to do with the connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/smtp/reply.h"

namespace engine {

/// Where an attempt was when it was decided. The names are those of the events (INTERFACES: stage).
enum class Stage : uint8_t { none, dns, connect, banner, ehlo, tls, mail, rcpt, data, body };
std::string_view to_string(Stage stage);

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
};
std::string_view to_string(Verdict::Kind kind);

struct Outcome {
    std::vector<Verdict> verdicts;  // one per recipient, in order
    bool connection_usable = true;  // false: close it, without QUIT: it is lost or out of step
    bool lock_step = false;  // the host lost its way in a pipelined group: what was deferred may be
                             // fine. Set Mail::lock_step towards this host from now on
    std::chrono::nanoseconds envelope{};  // first command to the last reply before the content
    std::chrono::nanoseconds content{};   // from then to the reply to the content; 0: none was sent
};

}  // namespace engine

// The client's side of RFC 5321: one connection as linear coroutines. Knows no queue, no pool and no DNS.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/net/stream.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"

namespace engine {

/// Where an attempt was when it was decided. The names are those of the events (INTERFACES: stage).
enum class Stage : uint8_t { none, dns, connect, banner, ehlo, tls, mail, rcpt, data, body };
std::string_view to_string(Stage stage);

/// A whole reply (RFC 5321 4.2): lines joined by '\n', without codes. `enhanced` is "5.1.1" or empty; it only counts
/// when its class equals the code's (RFC 2034).
struct Reply {
    uint16_t code = 0;
    std::string enhanced;
    std::string text;
    bool positive() const { return code >= 200 && code < 300; }
    bool transient() const { return code >= 400 && code < 500; }
    bool permanent() const { return code >= 500 && code < 600; }
};

/// RFC 5321 4.5.3.2; each is also the deadline of a whole reply, so that a drip cannot hold a slot.
struct SmtpTimeouts {
    std::chrono::milliseconds connect = std::chrono::seconds(30);
    std::chrono::milliseconds banner = std::chrono::minutes(5);
    std::chrono::milliseconds command = std::chrono::minutes(5);
    std::chrono::milliseconds data = std::chrono::minutes(2);
    std::chrono::milliseconds body = std::chrono::minutes(3);    // per block written
    std::chrono::milliseconds final = std::chrono::minutes(10);
    std::chrono::milliseconds quit = std::chrono::seconds(5);    // we do not hang on its reply (4.1.1.10)
};

/// What one transaction carries. `content` has CRLF line ends, no dot-stuffing, and ends in CRLF (rendering sees to it).
struct Mail {
    std::string sender;                    // empty: <>
    std::vector<std::string> recipients;   // at least one; validated at ingest: no CR, LF, NUL, no '<' or '>'
    std::shared_ptr<const std::string> content;
    bool eight_bit = false;                // content has octets above 127
    bool utf8_addresses = false;           // an address has octets above 127: needs SMTPUTF8
};

/// What became of one recipient in one attempt.
struct Verdict {
    enum class Kind : uint8_t {
        delivered,  // the receiver answered 250 to the content: it is theirs now
        deferred,   // try later: 4yz, a lost connection, a timeout
        bounced,    // never: 5yz to this recipient or to the content
        untried     // the receiver never judged it (421 to MAIL, the connection ended before the envelope): it goes again
                    // at once on another connection and counts as no attempt
    };
    Kind kind = Kind::deferred;
    Stage stage = Stage::none;
    Reply reply;            // code 0: there was none, `text` says what happened ("timeout after 300 s waiting for …")
    bool in_doubt = false;  // content went out whole and no answer came: a retry may be a duplicate (RFC 1047)
};

struct Outcome {
    std::vector<Verdict> verdicts;     // one per recipient, in order
    bool connection_usable = true;     // false: close it (no QUIT when it is lost or out of step)
};

/// What the server said in EHLO.
struct Capabilities {
    bool esmtp = false;  // false: only HELO worked; no parameters then
    bool pipelining = false, chunking = false, eight_bit_mime = false, smtp_utf8 = false, dsn = false,
         enhanced_status_codes = false, starttls = false, size = false;
    uint64_t size_max = 0;  // 0: none stated
};

class Session {
  public:
    /// The stream must outlive the session; the session alone reads and writes it.
    Session(Stream& stream, Clock& clock, SmtpTimeouts timeouts);
    ~Session();

    /// Banner, EHLO (HELO after 500/502). The error case is a verdict that applies to every delivery that waited for
    /// this connection: deferred for 4yz and for what is broken, and for 5yz at the banner or EHLO too unless the host
    /// says that it takes no mail (521 and 554 there: bounced only by the caller's decision, `reply` is passed on).
    Task<std::expected<void, Verdict>> greet(std::string ehlo_name);

    /// One transaction: MAIL, RCPT… and DATA in one write where PIPELINING is offered, one by one where not; then the
    /// content. Every recipient gets exactly one verdict, whatever happens.
    Task<Outcome> transact(Mail mail);

    /// QUIT, without waiting long for its reply. The caller closes the stream.
    Task<> quit();

    const Capabilities& capabilities() const;
    uint32_t transactions() const;  // that were begun

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace engine

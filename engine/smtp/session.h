// The client's side of RFC 5321: one connection as linear coroutines. Knows no queue, no pool and
// no DNS.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "engine/net/stream.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "engine/smtp/capabilities.h"
#include "engine/smtp/mail.h"
#include "engine/smtp/outcome.h"
#include "engine/smtp/timeouts.h"

namespace engine {

class Session {
  public:
    /// The stream must outlive the session; the session alone reads and writes it.
    Session(Stream& stream, Clock& clock, SmtpTimeouts timeouts);
    ~Session();

    /// Banner, EHLO (HELO after 500, 502, 504). Once, before all else. The error case is a verdict
    /// that applies to every delivery that waited for this connection: always deferred, with the
    /// host's reply. That 521 or 554 there may mean a host that takes no mail at all is the
    /// caller's decision.
    Task<std::expected<void, Verdict>> greet(std::string ehlo_name);

    /// One transaction: MAIL, RCPT… and DATA in one write where PIPELINING is offered (and
    /// mail.lock_step is not set), one by one where not; then the content. Every recipient gets
    /// exactly one verdict, whatever happens. What the host cannot take at all (SIZE, 8BITMIME,
    /// SMTPUTF8) bounces without a word on the wire. Not after an outcome without
    /// connection_usable.
    Task<Outcome> transact(Mail mail);

    /// QUIT, without waiting long for its reply. The caller closes the stream. Nothing is sent when
    /// the connection is not usable.
    Task<> quit();

    const Capabilities& capabilities() const;
    uint32_t transactions() const;  // that were begun

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace engine

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
#include "engine/smtp/host_traits.h"
#include "engine/smtp/mail.h"
#include "engine/smtp/outcome.h"
#include "engine/smtp/timeouts.h"

namespace engine {

class DialogueTap;
class MailSource;
struct Credentials;
struct TlsResult;
struct TlsStart;

class Session {
  public:
    /// The stream must outlive the session; the session alone reads and writes it.
    /// `timeouts`: shared with others, who are many; null: those of the RFC.
    Session(Stream& stream, Clock& clock, std::shared_ptr<const SmtpTimeouts> timeouts);
    ~Session();

    /// What this connection may do, and what is known of its host. Before greet(); without it every
    /// host is a stranger, and gets one envelope at a time.
    void plan(SessionPlan plan, std::shared_ptr<HostTraits> traits);

    /// `tap` must outlive the session.
    void let_listen(DialogueTap& tap);

    /// Banner, EHLO (HELO after 500, 502, 504). Once, before all else. The error case is a verdict
    /// that applies to every delivery that waited for this connection: always deferred, with the
    /// host's reply. That 521 or 554 there may mean a host that takes no mail at all is the
    /// caller's decision.
    Task<std::expected<void, Verdict>> greet(std::string ehlo_name);

    /// TLS from the first octet on (port 465), before greet(). The error is a deferral in stage
    /// tls, and the connection is of no more use.
    Task<std::expected<void, Verdict>> begin_with_tls(TlsStart with);
    /// STARTTLS after greet(), and EHLO once more, because nothing that was said before counts (RFC
    /// 3207 4.2). After Failure::no_tls the host has refused in order, and the session is as it
    /// was; after another failure it is of no more use. What the certificate is worth is for the
    /// caller to judge: tls().
    Task<std::expected<void, Verdict>> start_tls(TlsStart with);
    const TlsResult& tls() const;
    /// AUTH, after all of these. Whether the line is safe for it is the caller's decision. After an
    /// error the session is of no more use.
    Task<std::expected<void, Verdict>> log_in(std::shared_ptr<const Credentials> credentials);

    /// Sends what `source` gives, as deep into the host as the plan and its traits allow, until
    /// there is no more or the connection has come to its end. Every recipient gets exactly one
    /// verdict, whatever happens. What the host cannot take at all (SIZE, 8BITMIME, SMTPUTF8)
    /// bounces without a word on the wire. `source` must outlive the task.
    Task<> run(MailSource* source);

    /// One mail. Not when the connection is not usable any more.
    Task<Outcome> transact(Mail mail);

    /// QUIT, without waiting long for its reply. The caller closes the stream. Nothing is sent when
    /// the connection is not usable.
    Task<> quit();

    const Capabilities& capabilities() const;
    bool usable() const;  // more may be sent, or QUIT
    /// Recipients that the host takes in one transaction; 0: nothing is known of a limit.
    uint32_t recipients_max() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace engine

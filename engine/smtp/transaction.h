// Transaction: the verdicts of one transaction while its replies come in. Pure rules, no I/O: the
// session tells it each reply in the order of the commands, or that the connection is lost. Several
// of them could be in flight on one connection; none of them would notice.
//
// The rules (RFC 5321; what receivers really do is in the README):
//  - the first failing reply decides; what follows it (503, 554 no valid recipients) is noise
//  - 421, and "too many messages" to MAIL, judge the connection and not the mail
//  - 500 to 503 within a pipelined group, and a 5yz to DATA there, are about the dialogue: no
//  bounce
//    before the same was said in lock-step
//  - a reply that came counts although the connection then dies
#pragma once

#include <string>
#include <vector>

#include "engine/reactor/result.h"
#include "engine/smtp/commands.h"
#include "engine/smtp/outcome.h"

namespace engine {

Stage stage_of(Step step);

class Transaction {
  public:
    enum class Pace : uint8_t { grouped, lock_step };
    enum class Connection : uint8_t { fresh, reused };
    Transaction(size_t recipients, Pace pace, Connection connection);

    /// The reply to the next command of that kind.
    void take(Step step, const Reply& reply);
    /// Nothing more will come, because of `why`, while the reply to `waiting_for` was waited for.
    void lost(Step waiting_for, Error why);
    /// The content was written to its last octet: from here on only a reply can rule out that the
    /// receiver has the mail.
    void content_is_out() { content_out_ = true; }

    Pace pace() const { return pace_; }
    bool broken() const { return broken_; }            // the connection carries nothing more
    bool wants(Step step) const;                       // a command of that kind still has a point
    bool content_due() const { return content_due_; }  // 354 has come, and no reply to the content
    size_t accepted() const { return accepted_; }  // recipients that wait for the content's reply
    bool left_open() const { return open_; }       // RSET before the next MAIL

    Outcome outcome() &&;

  private:
    void take_reset(const Reply& reply);
    void take_mail(const Reply& reply);
    void take_rcpt(const Reply& reply);
    void take_data(const Reply& reply);
    void take_content(const Reply& reply);
    void settle_all(Verdict::Kind kind, Step step, const Reply& reply,
                    Failure failure = Failure::none);
    void settle(size_t recipient, Verdict verdict);
    void end_of_connection(Step step, const Reply& reply);
    void out_of_step(Step step, const Reply& reply);
    void not_in_a_group(Step step, const Reply& reply);

    enum class Recipient : uint8_t { asked, accepted, settled };
    std::vector<Recipient> recipients_;
    std::vector<Verdict> verdicts_;
    const Pace pace_;
    const Connection connection_;
    size_t next_rcpt_ = 0;
    size_t accepted_ = 0;
    bool mail_ok_ = false;
    bool open_ = false;
    bool content_due_ = false;
    bool content_out_ = false;
    bool broken_ = false;
    bool lock_step_ = false;
};

}  // namespace engine

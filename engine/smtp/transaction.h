// Transaction: the verdicts of one transaction while its replies come in. Pure rules, no I/O: the
// window tells it each reply in the order of the commands, or that the connection is lost. Several
// of them may be in flight on one connection; none of them notices.
//
// The rules (RFC 5321; what receivers really do is in the README):
//  - the first failing reply decides; what follows it (503, 554 no valid recipients) is noise
//  - 421, and "too many messages" to MAIL, judge the connection and not the mail
//  - 500 to 503 within a pipelined group, and a 5yz to DATA there, are about the dialogue: no
//  bounce
//    before the same was said in lock-step
//  - a reply that came counts although the connection then dies
//  - content that went out is in doubt until its reply is here, unless the host said goodbye before
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
    /// whole: the content goes out with the envelope, so its reply comes whatever the others were.
    enum class Pace : uint8_t { lock_step, grouped, whole };
    enum class Connection : uint8_t { fresh, reused };
    enum class ContentBy : uint8_t { data, chunk };  // RFC 5321, RFC 3030
    Transaction(size_t recipients, Pace pace, Connection connection, ContentBy content_by);

    /// The reply to the next command of that kind.
    void take(Step step, const Reply& reply);
    /// Nothing more will come, because of `why`, while the reply to `waiting_for` was waited for.
    void lost(Step waiting_for, Error why);
    /// Nothing more will come: an earlier reply said that the host closes the connection, so it has
    /// not looked at what was behind.
    void dismissed(const Reply& goodbye);
    /// The content was written to its last octet: from here on only a reply can rule out that the
    /// receiver has the mail.
    void content_is_out() { content_out_ = true; }

    Pace pace() const { return pace_; }
    ContentBy content_by() const { return content_by_; }
    bool broken() const { return broken_; }            // the connection carries nothing more
    bool host_leaves() const { return host_leaves_; }  // and the host has said so itself
    /// The host said what no host may say here: it has lost count, or takes content for others'.
    bool lost_its_way() const { return lost_its_way_; }
    /// Recipients that fit into one transaction of this host; 0: it took all that were offered.
    size_t full_at() const { return full_at_; }
    bool wants(Step step) const;                   // a command of that kind still has a point
    size_t accepted() const { return accepted_; }  // recipients that wait for the content's reply
    bool left_open() const { return open_; }       // RSET before the next MAIL
    size_t recipients() const { return recipients_.size(); }
    /// Not refused so far: it gets the mail if the host takes the content.
    bool may_get_it(size_t recipient) const {
        return recipients_[recipient] != Recipient::settled;
    }

    Outcome outcome() &&;

  private:
    void take_reset(const Reply& reply);
    void take_mail(const Reply& reply);
    void take_rcpt(const Reply& reply);
    void take_data(const Reply& reply);
    void take_content(const Reply& reply);
    void taken_unasked(const Reply& reply);
    void settle_all(Verdict::Kind kind, Step step, const Reply& reply,
                    Failure failure = Failure::none);
    void nothing_more(Verdict::Kind kind, Step step, std::string what, Failure failure);
    void settle(size_t recipient, Verdict verdict);
    void end_of_connection(Step step, const Reply& reply);
    void out_of_step(Step step, const Reply& reply);
    void not_in_a_group(Step step, const Reply& reply);
    Verdict::Kind kind_at_the_end() const;

    enum class Recipient : uint8_t { asked, accepted, settled };
    std::vector<Recipient> recipients_;
    std::vector<Verdict> verdicts_;
    const Pace pace_;
    const Connection connection_;
    const ContentBy content_by_;
    size_t next_rcpt_ = 0;
    size_t accepted_ = 0;
    size_t full_at_ = 0;
    bool mail_ok_ = false;
    bool open_ = false;
    bool content_due_ = false;
    bool content_out_ = false;
    bool broken_ = false;
    bool host_leaves_ = false;
    bool lost_its_way_ = false;
    bool lock_step_ = false;
};

}  // namespace engine

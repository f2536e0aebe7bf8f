// MailSource: where a connection's mails come from and where their outcomes go. The session pulls:
// it asks for the next mail when it can write it.
#pragma once

#include <cstddef>
#include <optional>

#include "engine/reactor/task.h"
#include "engine/smtp/mail.h"
#include "engine/smtp/outcome.h"

namespace engine {

class Transaction;

class MailSource {
  public:
    virtual ~MailSource() = default;
    /// A mail, if there is one now. Asked while another one is under way, too: what it gives then
    /// goes behind that one, what it does not have is not waited for.
    virtual std::optional<Mail> take() = 0;
    /// Whether take() would give one.
    virtual bool ready() const = 0;
    /// take() will be asked soon: what takes time to make may be begun.
    virtual void prepare() = 0;
    /// Whether the mail that take() would give next is being made, and the content that is sent now
    /// may wait for it, so that it goes behind it.
    virtual bool making() const { return false; }
    /// Waits until it is made, or no longer than pays.
    virtual Task<> made() { co_return; }
    /// Waits until take() may have one. False: nothing more will come over this connection.
    virtual Task<bool> wait() = 0;
    /// The last octet of a content is about to be written: from now on the host may have that mail
    /// whatever happens. `place` counts from 0 among those taken that have no outcome yet, in the
    /// order of take(); `transaction` knows which of its recipients may get it.
    virtual void content_leaves(size_t /*place*/, const Transaction& /*transaction*/) {}
    /// What became of the mail that was taken first of those that have no outcome yet: exactly one
    /// for each, in the order of take(). A last one may come after wait() has said no.
    virtual void settle(Outcome outcome) = 0;
};

}  // namespace engine

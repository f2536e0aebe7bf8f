// Letters: the mail of a transaction, made out of the loans that share it: rendered, brought into a
// form that the receiver takes, signed.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <span>
#include <string>

#include "engine/delivery/loan.h"
#include "engine/message/compose.h"
#include "engine/reactor/signal.h"
#include "engine/reactor/task.h"
#include "engine/smtp/capabilities.h"
#include "engine/smtp/mail.h"
#include "metrics/metric.h"

namespace engine {

class DkimKeyring;
class Worker;

struct LetterParts {
    Reactor& reactor;
    Worker& signers;  // order does not matter to it
    const DkimKeyring& keyring;
    metrics::Registry& metrics;
};

/// One per shard. It keeps what it made where the bytes are the same for all of a job, so that such
/// a job is signed once and not for every connection.
class Letters {
  public:
    static constexpr size_t kept_max = 64;               // mails kept
    static constexpr size_t kept_bytes_max = 32u << 20;  // of them; the one made last always stays
    static constexpr size_t rendered_here_max = 64u
                                                << 10;  // octets; larger mails are made elsewhere
    static constexpr auto crowd_wait = std::chrono::milliseconds(50);
    static constexpr size_t brief_max = 256u << 10;  // made within about a millisecond

    explicit Letters(LetterParts parts);
    ~Letters();

    /// `loans` are of one job, at least one; more only where its bytes are the same for all. They
    /// must stay where they are until the task ends. `host`: what the receiver takes. Several at a
    /// time, also for one connection: ask for the next mail while this one is being sent, and the
    /// signing costs no time.
    Task<Mail> write(std::span<const Loan> loans, Capabilities host);

    /// The signers have enough to do: a mail that is given to them now makes others wait. What has
    /// none under way yet had better wait for room, so that few connections get many mails.
    bool crowded() const;
    /// Until they may have room, or for `crowd_wait`.
    Task<> room();

  private:
    struct Order;
    struct Written {
        std::shared_ptr<const std::string> bytes;
        bool eight_bit = false, utf8_header = false;
    };
    struct Kept {
        storage::JobId job{};
        MailForm form{};
        std::shared_ptr<const DkimKeys> keys;
        Written written;
        bool ready = false;
    };

    Task<Written> write_one(Order order);
    Task<Written> write_kept(Order order);
    Kept* find(const Order& order);
    void trim();

    LetterParts parts_;
    std::list<Kept> kept_;  // the one used last in front
    Signal kept_changed_;
    Signal room_;
    metrics::Gauge& backlog_;
    metrics::Counter& signed_;
    metrics::Counter& converted_;
};

}  // namespace engine

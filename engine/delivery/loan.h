// What travels between a delivery's home shard and the shard of its site.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/delivery/job_info.h"
#include "engine/delivery/suspensions.h"
#include "engine/dns/resolver.h"
#include "engine/net/tls.h"
#include "engine/policy/observed_tls.h"
#include "engine/reactor/shards.h"
#include "engine/smtp/outcome.h"
#include "storage/in_doubt_journal.h"
#include "storage/types.h"

namespace engine {

/// How one attempt at one delivery went.
struct Attempt {
    Verdict verdict;
    std::string mx, ip, site, provider, source;
    std::string tls;      // of the connection, for the event; empty: none
    ObservedTls session;  // the same, for TLS reports
    storage::WallTime started{};
    uint64_t smtp_ms = 0;
    bool host_reports = false;  // the host offers DSN and was told what the sender wants to know
};

/// What a host said of a delivery that waits: for the words of its expiry. In memory only.
struct LastWord {
    static constexpr size_t text_octets_max = 256;
    std::string mx;
    Reply reply;  // code 0: our own words
};

/// A delivery that is borrowed from its home for one attempt.
struct LoanTerms {
    storage::Delivery delivery;
    std::shared_ptr<const JobInfo> job;
    std::shared_ptr<const storage::QueueInfo> queue;
    ShardId home = 0;
    ShardId dealt = 0;  // 1 + the shard that it was dealt to (spread.h); 0: it went to the owner
    uint64_t link = 0;  // the home's account with the site
    size_t bytes = 0;   // of memory, counted by the home until it is back
    uint32_t untried =
        0;  // times that it went onto a connection and came off again without a verdict
    bool lock_step = false;  // the host lost its way in a group with it: one command at a time now
    std::shared_ptr<const LastWord> last;  // null: none is known
    /// Set while the host may have the mail and no outcome is durable; whoever makes one so clears
    /// it.
    storage::InDoubtMark in_doubt;
    OrderId via{};  // the suspension that leads it another way; none: the usual one
};

/// What comes back: with an attempt, or untried. An untried one keeps its place and its attempt
/// count.
struct Return {
    LoanTerms terms;
    std::optional<Attempt> attempt;
};

/// Takes what comes back on the site's shard and brings it home in batches.
class Returns {
  public:
    virtual ~Returns() = default;
    virtual void give_back(Return returned) = 0;
};

/// Holds the terms on the site's shard. Losing mail needs effort: a loan that dies without an
/// outcome goes home as untried.
class Loan {
  public:
    Loan(LoanTerms terms, Returns& returns) : terms_(std::move(terms)), returns_(&returns) {}
    Loan(Loan&& other) noexcept
        : terms_(std::move(other.terms_)), returns_(std::exchange(other.returns_, nullptr)) {}
    Loan& operator=(Loan&& other) noexcept {
        if (this != &other) {
            release();
            terms_ = std::move(other.terms_);
            returns_ = std::exchange(other.returns_, nullptr);
        }
        return *this;
    }
    ~Loan() { release(); }

    const LoanTerms& terms() const { return terms_; }
    void count_untried() { ++terms_.untried; }
    void go_in_lock_step() { terms_.lock_step = true; }
    storage::InDoubtMark& in_doubt() { return terms_.in_doubt; }
    void settle(Attempt attempt) {
        if (Returns* returns = std::exchange(returns_, nullptr))
            returns->give_back({std::move(terms_), std::move(attempt)});
    }

  private:
    void release() {
        if (Returns* returns = std::exchange(returns_, nullptr))
            returns->give_back({std::move(terms_), std::nullopt});
    }
    LoanTerms terms_;
    Returns* returns_;
};

/// A new delivery whose commit is synced, on its way to its home.
struct Arrival {
    storage::Delivery delivery;
    std::shared_ptr<const JobInfo> job;
    std::shared_ptr<const storage::QueueInfo> queue;
};

/// The loans of one site that leave a home together.
struct Lending {
    std::shared_ptr<const Route> route;
    std::string
        site;  // the key: the route's site, or "domain:<name>" where a domain has limits of its own
    std::string domain;  // whose settings apply when the key is a domain's; empty otherwise
    std::shared_ptr<const TlsDemand> tls;  // of settings and MTA-STS; a host's DANE comes on top
                                           // when it is connected to (engine/policy/host_demand.h)
    uint64_t settings;                     // by which its way was found (SettingsInForce::number)
    std::vector<LoanTerms> loans;
};

}  // namespace engine

// Book: what the outside knows. It keeps every delivery that was planned, what its submitter was
// told, what the events say of it, and what receivers took; and it fails the run when these do not
// fit together.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/store.h"
#include "tests/sim/network.h"
#include "tests/sim/orders.h"
#include "tests/sim/settings_book.h"
#include "tests/sim/suppressions.h"
#include "tests/sim/traffic.h"
#include "tests/sim/world.h"

namespace sim {

/// A receiver made a mail its own.
struct Acceptance {
    std::shared_ptr<Link> link;
    uint32_t boot = 0;
    std::optional<Instant> read;  // the engine was given the last byte of the answer
    bool trusted = true;          // false: the dialogue had gone wrong by then
    Instant sent{};               // its MAIL
};

/// One delivery, by its index in its job.
struct Item {
    size_t job = 0;
    uint32_t index = 0;
    std::string address, tenant, domain;
    storage::QueueId queue;

    enum class State : uint8_t { unknown, open, ended } state = State::unknown;
    bool acknowledged = false;
    Instant accepted_at{};
    uint32_t attempts = 0;
    WallTime due{}, expires{};
    std::vector<std::pair<Instant, WallTime>> due_before;  // and until when the book knew so
    std::optional<storage::Event::Type> end;
    Instant ended_at{};
    std::vector<Acceptance> acceptances;
    bool refused = false;  // somebody has given a reason to bounce it
    bool lied_to = false;  // a receiver has answered out of step: what was said of it may be wrong
    std::vector<Instant> doubts;  // when events called it in doubt
    Instant deferred_at{};        // the last time that it came home
    bool held = false;            // in doubt, until an operator decides
};

struct JobBook {
    storage::JobId id{};
    std::string tenant, campaign, pool;
    // Jobs with the same root have recipients that differ by the case of letters only, which lists
    // do not see.
    size_t root = 0;
    unsigned spelling = 0;
    Instant named_at{};
    storage::Class klass = storage::Class::bulk;
    std::optional<WallTime> send_at;
    std::chrono::milliseconds expires_in{};
    std::vector<Item> items;
    struct Part {
        uint32_t first = 0, count = 0;
        bool answered = false;
    };
    std::vector<Part> parts;  // that were given to the engine
    bool lied_to = false;     // its MAIL may have been answered out of step
};

struct Totals {
    uint64_t deliveries = 0, acknowledged = 0, accepted = 0, duplicates = 0, in_doubt = 0;
    uint64_t delivered = 0, deferred = 0, bounced = 0, expired = 0, cancelled = 0, events = 0;
    uint64_t suppressed = 0, listed_by_bounces = 0;
};

class Book {
  public:
    explicit Book(World& world)
        : world_(world),
          settings_(world),
          orders_(world),
          suppressions_(world),
          traffic_(world, settings_) {}
    SettingsBook& settings() { return settings_; }
    const SettingsBook& settings() const { return settings_; }
    SuppressionBook& suppressions() { return suppressions_; }
    OrderBook& orders() { return orders_; }
    Traffic& traffic() { return traffic_; }

    /// The ids of its items are given by the order in `addresses`.
    size_t add_job(JobBook job);
    JobBook& job(size_t number) { return jobs_[number]; }
    static constexpr unsigned spellings = 4;
    static std::string address_of(const JobBook& job, uint32_t index, const std::string& domain);
    /// As suppression lists have it.
    static std::string listed_form(const Item& item);
    /// Nothing when it is none of ours.
    Item* item_of(std::string_view address);

    // --- ingest
    void named(size_t job, storage::JobId id);
    void offered(size_t job, uint32_t first, uint32_t count);
    void acknowledged(size_t job);  // its last part
    void refused(size_t job);

    // --- the node
    void booted(storage::Store& store);
    /// What was acknowledged and known is still there; what was not, as a whole or not at all.
    void check_restart(storage::Store& store);
    /// `outcomes`: some that it knew may not have been kept; `machine`: nor what was in doubt.
    enum class Lost : uint8_t { nothing, outcomes, machine };
    void stopped(Lost lost);
    uint32_t boot() const { return boot_; }
    /// Takes what is new in the store's feed.
    void poll(storage::Store& store);
    /// Rows, ledger and events agree. `parts`: nobody waits for an answer any more.
    void check_rows(storage::Store& store);

    // --- receivers
    /// RCPT.
    void tried(Item& item, Link& link, const Way& way);
    /// The index of the new acceptance, for answer_read().
    struct Sent {
        Instant at;  // its MAIL
        uint32_t boot = 0;
    };
    size_t took(Item& item, std::shared_ptr<Link> link, bool trusted, Sent sent);
    void answer_read(Item& item, size_t acceptance);
    /// What is said of mails under this sender may be wrong.
    void lied_to_sender(std::string_view sender);
    static std::string sender_of(size_t job) { return fmt::format("b{}@sender.test", job); }
    const JobBook* job_of_sender(std::string_view sender) const;

    bool all_ended() const { return open_ == 0; }
    size_t open() const { return open_; }
    std::string describe_open() const;
    WallTime last_expiry() const;  // of what is open
    /// From here on what has that much time left, once it is due, must not expire.
    void healed(std::chrono::milliseconds life) {
        healed_ = {world_.now(), world_.engine_wall(), life};
    }
    const Totals& totals() const { return totals_; }

  private:
    void apply(const storage::Event& event);
    void terminal(Item& item, const storage::Event& event);
    void check_delivered(const Item& item, const storage::Event& event);
    void check_expired(const Item& item, const storage::Event& event);
    void check_bounce_entry(storage::Store& store, const storage::Event& event);
    void check_suppressed(const Item& item, const Way& way);
    void check_route(const Item& item, const Way& way);
    void check_parts();
    Item* item_of(storage::DeliveryId id);
    std::string name(const Item& item) const;

    World& world_;
    SettingsBook settings_;
    OrderBook orders_;
    SuppressionBook suppressions_;
    Traffic traffic_;
    std::vector<JobBook> jobs_;
    std::unordered_map<uint64_t, size_t> by_id_;
    std::map<std::pair<size_t, unsigned>, size_t> by_spelling_;  // root and spelling: its job
    // By seq. A commit that failed leaves a gap for ever.
    std::map<uint64_t, std::pair<storage::Event::Type, storage::DeliveryId>> events_;
    uint64_t last_seq() const { return events_.empty() ? 0 : events_.rbegin()->first; }
    std::map<std::string, storage::JobCounts> ledger_;
    uint32_t boot_ = 0;
    Instant booted_at_{};
    std::set<uint32_t> dark_boots_;   // ended with the machine
    std::set<uint32_t> lossy_boots_;  // ended without having told the store all they knew
    size_t open_ = 0;
    struct Healed {
        Instant at;
        WallTime wall;
        std::chrono::milliseconds life;
    };
    std::optional<Healed> healed_;
    Totals totals_;
};

}  // namespace sim

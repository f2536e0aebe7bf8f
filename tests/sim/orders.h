// Orders: what operators stop, lead another way and cancel in a run, and what must not be sent
// because of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/delivery/reach.h"
#include "tests/sim/world.h"

namespace sim {

struct Item;
struct JobBook;

/// Where a mail is sent, as its receiver sees it.
struct Way {
    /// What its connection had taken by then goes on.
    static constexpr auto under_way = 1s;

    std::string_view group;   // of hosts
    std::string provider;     // theirs; empty: a reload changes it just then
    std::string_view site;    // as the engine names the same hosts
    std::string_view source;  // empty: the only one
    Instant sent{};           // its MAIL
    uint32_t boot = 0;        // of the node that sent it; it may be gone since
    Instant begun{};          // that, or an RSET in front of it, or the write that it may end
};

/// As it is known outside: what was ordered, and when the engine said so.
struct Order {
    enum class Kind : uint8_t { suspend, lead_away, cancel };
    Kind kind{};
    engine::Reach reach;
    std::optional<WallTime> until{};
    Instant called{};
    std::optional<Instant> stands{};  // the call returned: from then on it is in force
    std::optional<Instant> lifted{};  // somebody called for its end

    bool is_about(const Item& item, const JobBook& job) const;
    bool is_about(const Item& item, const JobBook& job, const Way& way) const;
};

class OrderBook {
  public:
    /// Suspensions that lead mail away lead it there.
    static constexpr const char* relay = "relay";

    explicit OrderBook(World& world) : world_(world) {}

    size_t call(Order order);
    void stands(size_t order) { orders_[order].stands = world_.now(); }
    void lift_all();

    void check_sent(const Item& item, const JobBook& job, const Way& way);
    /// Whether somebody has ordered that it ends.
    bool cancelled(const Item& item, const JobBook& job) const;
    /// Since when an order to end it stands.
    std::optional<Instant> cancelled_since(const Item& item, const JobBook& job) const;

  private:
    bool in_force(const Order& order, const Way& way) const;

    World& world_;
    std::vector<Order> orders_;
};

}  // namespace sim

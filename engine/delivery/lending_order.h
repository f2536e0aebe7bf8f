// LendingOrder: whose queue a home lends from next, to one site. What waits at the site is all that
// the site can be fair with, so the shares are decided here first: each tenant has at most its
// share of the credit out, by weight; what it has out and cannot be sent (its own limit, say) takes
// no credit from another. Transactional mail has credit of its own, so it never waits at home for
// bulk.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "metrics/check.h"
#include "storage/types.h"

namespace engine {

/// `Item`: what stands for a queue; cheap to copy.
template <class Item>
class LendingOrder {
  public:
    static constexpr size_t allowance_min = 8;  // of a tenant, however small its weight is

    /// `credit`: of each class, shared by the tenants that have something due or out.
    explicit LendingOrder(size_t credit = 64) : credit_(credit) {}

    struct Claimant {
        storage::Class klass;
        std::string_view tenant, campaign;
        double weight = 1;
    };
    enum class Where : uint8_t { front, back };
    /// A queue has something due: behind the others of its campaign, or before them when its turn
    /// goes on. True: it could be lent now.
    bool add(const Claimant& who, Item item, Where where = Where::back) {
        Side& side = side_of(who.klass);
        auto found = side.tenants.find(who.tenant);
        if (found == side.tenants.end()) {
            found = side.tenants.try_emplace(std::string(who.tenant)).first;
            found->second.weight = who.weight;
            side.weights += who.weight;
        }
        Tenant& tenant = found->second;
        side.weights += who.weight - std::exchange(tenant.weight, who.weight);
        auto turn = tenant.by_name.find(who.campaign);
        if (turn == tenant.by_name.end()) {
            tenant.turns.push_back({std::string(who.campaign), {}});
            turn = tenant.by_name.emplace(who.campaign, std::prev(tenant.turns.end())).first;
        }
        std::deque<Item>& items = turn->second->items;
        items.insert(where == Where::front ? items.begin() : items.end(), item);
        ++waiting_;
        return room_of(side, tenant) > 0;
    }

    /// From now on; what is out beyond it comes home in its time. `tight`: no more than
    /// allowance_min of each class, however many tenants there are.
    void set_credit(size_t credit, bool tight) {
        credit_ = credit;
        tight_ = tight;
    }

    struct Turn {
        Item item{};
        size_t room = 0;  // deliveries that may be lent from it in this turn
    };
    /// The next queue, which leaves the order: transactional ones first, then the tenant that has
    /// least out for its weight, then its campaigns in turn. nullopt: nothing may be lent.
    std::optional<Turn> next(size_t quantum) {
        for (Side& side : sides_) {
            Tenant* best = nullptr;
            for (auto& [name, tenant] : side.tenants) {
                if (tenant.turns.empty() || room_of(side, tenant) == 0) continue;
                if (!best || load_of(tenant) < load_of(*best)) best = &tenant;
            }
            if (best) return Turn{take(*best), std::min(quantum, room_of(side, *best))};
        }
        return std::nullopt;
    }

    /// The head of a queue whose turn it was is still to be read from disk: so much of its tenant's
    /// room is spoken for until then.
    void set_aside(storage::Class klass, std::string_view tenant, size_t count) {
        Tenant& of = tenant_of(klass, tenant)->second;
        of.aside += count;
        side_of(klass).taken += count;
        aside_ += count;
    }
    /// It is read. What of `count` may be lent of it; lent() follows, also for nothing.
    size_t come_back(storage::Class klass, std::string_view tenant, size_t count) {
        Tenant& of = tenant_of(klass, tenant)->second;
        CHECK(of.aside >= count, "more came back than was set aside");
        of.aside -= count;
        side_of(klass).taken -= count;
        aside_ -= count;
        return std::min(count, room_of(side_of(klass), of));
    }

    void lent(storage::Class klass, std::string_view tenant, size_t count) {
        Side& side = side_of(klass);
        const auto found = tenant_of(klass, tenant);
        found->second.out += count;
        side.taken += count;
        out_ += count;
        forget_if_idle(side, found);
    }
    /// True: another could be lent now.
    bool returned(storage::Class klass, std::string_view tenant) {
        Side& side = side_of(klass);
        const auto found = side.tenants.find(tenant);
        CHECK(found != side.tenants.end() && found->second.out > 0,
              "a site gave back more than it was lent");
        --found->second.out;
        --side.taken;
        --out_;
        const bool more = tight_ ? waiting_ > 0 : !found->second.turns.empty();
        forget_if_idle(side, found);
        return more;
    }

    size_t out() const { return out_; }
    size_t waiting() const { return waiting_; }  // queues
    bool busy() const { return out_ > 0 || waiting_ > 0 || aside_ > 0; }
    template <class Visit>
    void for_each(Visit visit) const {
        for (const Side& side : sides_)
            for (const auto& [name, tenant] : side.tenants)
                for (const Campaign& campaign : tenant.turns)
                    for (const Item& item : campaign.items) visit(item);
    }

  private:
    struct Campaign {
        std::string name;
        std::deque<Item> items;
    };
    struct Tenant {
        double weight = 1;
        size_t out = 0, aside = 0;
        std::list<Campaign> turns;  // campaigns with something due
        std::map<std::string, typename std::list<Campaign>::iterator, std::less<>> by_name;
    };
    struct Side {
        std::map<std::string, Tenant, std::less<>> tenants;  // with something due or out
        double weights = 0;                                  // of them, together
        size_t taken = 0;                                    // by them: out or set aside
    };
    using Tenants = decltype(Side::tenants);

    Side& side_of(storage::Class klass) { return sides_[static_cast<size_t>(klass)]; }
    typename Tenants::iterator tenant_of(storage::Class klass, std::string_view tenant) {
        Side& side = side_of(klass);
        const auto found = side.tenants.find(tenant);
        CHECK(found != side.tenants.end(), "something was lent of a tenant without a turn");
        return found;
    }
    static double load_of(const Tenant& tenant) {
        return static_cast<double>(tenant.out) / tenant.weight;
    }
    size_t room_of(const Side& side, const Tenant& tenant) const {
        const double share = static_cast<double>(credit_) * tenant.weight / side.weights;
        const size_t allowance = std::max(allowance_min, static_cast<size_t>(share));
        const size_t taken = tenant.out + tenant.aside;
        const size_t room = allowance > taken ? allowance - taken : 0;
        return tight_ ? std::min(room, allowance_min - std::min(side.taken, allowance_min)) : room;
    }
    Item take(Tenant& tenant) {
        const auto campaign = tenant.turns.begin();
        const Item item = campaign->items.front();
        campaign->items.pop_front();
        --waiting_;
        if (campaign->items.empty()) {
            tenant.by_name.erase(campaign->name);
            tenant.turns.erase(campaign);
        } else {
            tenant.turns.splice(tenant.turns.end(), tenant.turns, campaign);
        }
        return item;
    }
    void forget_if_idle(Side& side, typename Tenants::iterator tenant) {
        const Tenant& of = tenant->second;
        if (of.out > 0 || of.aside > 0 || !of.turns.empty()) return;
        side.weights -= tenant->second.weight;
        side.tenants.erase(tenant);
        if (side.tenants.empty()) side.weights = 0;  // what rounding has left of it
    }

    size_t credit_;
    bool tight_ = false;
    size_t out_ = 0, aside_ = 0, waiting_ = 0;
    std::array<Side, 2> sides_;  // by class: transactional, bulk
};

}  // namespace engine

// SuppressionBook: what is known outside of the suppression lists: what operators have entered and
// taken away, and what bounces have entered. A call that was not answered may have been done.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace sim {

struct ListChange {
    enum class Kind : uint8_t { add, remove } kind{};
    std::string list;                    // a tenant, or "*"
    std::vector<std::string> addresses;  // as lists have them
};

class SuppressionBook {
  public:
    explicit SuppressionBook(World& world) : world_(world) {}

    size_t call(ListChange change);
    void answered(size_t call, bool good);
    /// The node has ended: calls without an answer do nothing any more.
    void stopped();
    /// A bounce has entered it, in its own commit.
    void bounced(const std::string& list, const std::string& address);

    /// Since when it certainly is on the tenant's list or on everybody's.
    std::optional<Instant> listed_since(const std::string& tenant,
                                        const std::string& address) const;
    /// Whether it may have been on one of them at some time from then on.
    bool may_be_listed(const std::string& tenant, const std::string& address, Instant from) const;
    /// The same of one list, now.
    bool may_be_on(const std::string& list, const std::string& address) const;
    bool removal_goes_on(const std::string& list, const std::string& address) const;

  private:
    struct Entry {
        std::optional<Instant> since;  // it certainly is there
        bool maybe = false;            // it may be there
        Instant maybe_until{};         // and was before
        uint32_t adding = 0, removing = 0;
        Instant add_called{}, removal_called{};
    };
    struct Call {
        ListChange change;
        Instant at;
        bool answered = false;
    };
    const Entry* find(const std::string& list, const std::string& address) const;

    World& world_;
    std::map<std::pair<std::string, std::string>, Entry> entries_;
    std::vector<Call> calls_;
};

}  // namespace sim

// Reach: which mail an operator's order is about. What is set must hold, all of it; what is not set
// holds for everything. The index finds the few orders that may be about a queue among thousands.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/codec.h"
#include "storage/types.h"

namespace engine {

struct Reach {
    std::optional<std::string> tenant, campaign, domain;  // domain: lower case, A-labels
    std::optional<storage::Class> klass;
    std::optional<std::string> recipient;  // as mailbox_key() writes it
    std::optional<storage::JobId> job;
    std::optional<std::string> provider, site, source;

    bool operator==(const Reach&) const = default;
    bool everything() const { return *this == Reach{}; }
    bool names_delivery() const { return recipient || job; }
    bool names_way() const { return provider || site || source; }
    /// Tenant, campaign, domain and class.
    bool of_queue(const storage::QueueInfo& queue) const;
    bool of_delivery(const storage::Delivery& delivery) const;  // recipient and job
    bool of_way(std::string_view its_provider, std::string_view its_site) const;

    /// For people and for metrics: the one thing that it names ("campaign"), or "several".
    std::string_view kind() const;
    /// "campaign nov of tenant acme"
    std::string words() const;
};

/// An address as lists compare it: small letters, whatever the local part's owner thinks of case.
std::string mailbox_key(std::string_view address);

void write_reach(storage::Writer& out, const Reach& reach);
Reach read_reach(storage::Reader& in);

/// Places of a list by what its reaches name of a queue.
class ReachIndex {
  public:
    void add(const Reach& reach, size_t place);
    bool empty() const { return places_.empty(); }
    /// Asks `judge` about each place whose reach may be of this queue, until it says yes.
    using Judge = std::function<bool(size_t place)>;
    bool any(const storage::QueueInfo& queue, const Judge& judge) const;

  private:
    std::unordered_map<std::string, std::vector<size_t>> places_;
};

}  // namespace engine

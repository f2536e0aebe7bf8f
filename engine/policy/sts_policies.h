// The MTA-STS policies of one shard's domains (RFC 8461): asked for beside the MX records, fetched
// over HTTPS, kept over restarts.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "engine/dns/resolver.h"
#include "engine/policy/https_fetcher.h"
#include "engine/policy/sts_kept.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/signal.h"
#include "engine/reactor/worker.h"
#include "metrics/metric.h"

namespace storage {
class Store;
}

namespace engine {

struct StsParts {
    Reactor& reactor;
    Resolver& resolver;
    Worker& worker;  // for the store
    storage::Store& store;
    metrics::Registry& metrics;
    uint16_t port = 443;  // of policy hosts; tests set another
    std::string ca_file;  // empty: the system's
    std::string thread_name;
};

/// What is known of a domain.
struct StsAnswer {
    std::shared_ptr<const StsPolicy> policy;  // null: none that counts
    std::string miss;                         // there should be one, but: a result of TLS reports
    Instant ask_again{};                      // what is known may change then
};

class StsPolicies {
  public:
    static constexpr size_t policies_max = 100'000;
    static constexpr size_t looks_max = 20'000;  // at a time; what is above goes without a policy
    static constexpr size_t misses_max = 20'000;
    /// How long mail to a domain without a kept policy waits for its TXT record and its policy.
    /// After it the mail goes as if there were none; what comes later counts from then on.
    static constexpr auto first_wait = std::chrono::seconds(5);
    static constexpr auto fetch_timeout = std::chrono::seconds(60);  // RFC 8461 3.3
    static constexpr auto miss_hold = std::chrono::minutes(5);       // RFC 8461 3.3
    static constexpr auto look_again = std::chrono::minutes(10);

    explicit StsPolicies(StsParts parts);

    /// Reads what is kept; `mine` says which domains are this shard's. Answers wait for it.
    void start(std::function<bool(const std::string&)> mine);
    Task<StsAnswer> policy_of(std::string domain);
    /// Ends fetches. Nothing of it runs any more when it returns.
    Task<> stop();

  private:
    struct Look;
    /// Why there is no policy: the result of TLS reports, and for people.
    struct Unfetched {
        std::string_view result;
        std::string why;
    };

    Task<> load(std::function<bool(const std::string&)> mine);
    Task<> look(std::string domain, std::shared_ptr<Look> look);
    Task<> fetch(std::string domain, std::string id);
    Task<std::expected<StsPolicy, Unfetched>> fetched(std::string domain);
    Task<> keep(std::string domain, StsKept kept);
    void missed(const std::string& domain, StsMiss miss);
    bool make_room();

    StsParts parts_;
    HttpsFetcher fetcher_;
    bool stopping_ = false;
    Event loaded_;
    struct Entry {
        StsKept kept;
        std::shared_ptr<const StsPolicy> policy;
    };
    std::unordered_map<std::string, Entry> kept_;
    std::unordered_map<std::string, StsMiss> misses_;
    std::unordered_map<std::string, std::shared_ptr<Look>> looks_;
    Scope scope_;
};

}  // namespace engine

// TlsReports: counts of a shard's sessions for TLS reports, in memory for a minute and then in the
// store, where days of them are added up (RFC 8460).
#pragma once

#include <chrono>
#include <expected>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/policy/tls_counts.h"
#include "engine/reactor/shards.h"
#include "engine/reactor/worker.h"

namespace storage {
class Store;
}

namespace engine {

using ReportDay = std::chrono::sys_days;  // UTC (RFC 8460 4.1)
std::string to_string(ReportDay day);     // "2026-11-22"
std::optional<ReportDay> parse_report_day(std::string_view text);

class TlsReports {
  public:
    static constexpr size_t rows_max =
        20'000;  // domains and policies of a shard and a day; more are not counted
    static constexpr size_t stored_max = 500'000;  // rows of a day that a report reads
    static constexpr auto flush_every = std::chrono::minutes(1);
    static constexpr auto kept_for = std::chrono::days(30);

    struct Parts {
        Clock& clock;
        Worker& worker;
        storage::Store& store;
        ShardId shard;
    };
    explicit TlsReports(Parts parts) : parts_(parts) {}

    /// A session with a host of the domain, once for each domain whose mail it carried or was to.
    void count(const std::string& domain, const TlsFinding& finding, const std::string& mx,
               const std::string& ip);
    /// Stores what has changed since the last time. A crash loses at most what came after it.
    Task<> flush();
    /// Drops what is too old. For one shard of them.
    Task<> forget();

  private:
    struct Row {
        std::string counts;  // encoded: a third of what they take as they are
        bool changed = false;
    };
    Row* row(const std::string& domain, const TlsFinding& finding);
    std::string note_name(const std::string& key) const;

    Parts parts_;
    ReportDay day_{};
    std::unordered_map<std::string, Row> rows_;  // of that day, by domain, type and policy
    std::vector<storage::Note> late_;            // of the day before, until the next flush
    uint64_t dropped_ = 0;                       // sessions that were beyond rows_max
};

/// One domain's counts of a day, by policy, over all shards and starts.
using TlsDomainCounts = std::map<std::string, std::vector<TlsCounts>>;
/// Blocks. `domain` empty: all of them.
std::expected<TlsDomainCounts, std::string> tls_counts_of(storage::Store& store, ReportDay day,
                                                          const std::string& domain);

}  // namespace engine

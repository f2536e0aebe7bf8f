// What is said on the connections of a shard, kept for those who look (`sluice trace`). While
// nobody does, a connection asks one question a line and nothing is kept.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/reactor/reactor.h"
#include "engine/reactor/shards.h"
#include "storage/types.h"

namespace engine {

/// A connection to a host, as long as it lasts.
struct TracedConnection {
    std::string id;  // "0-17": the shard and a number
    std::string site, provider, source, mx, ip;
};

/// What somebody wants to see; what is empty lets everything through.
struct TraceFilter {
    std::string domain, tenant;          // of mail that is under way
    std::string host;                    // an MX's name, the end of one, or an address
    std::string site, provider, source;  // of the connection
    bool content = false;                // the mails' text, too

    bool lets_through(const TracedConnection& connection) const;
    bool lets_through(const storage::QueueInfo& queue) const;
    bool asks_for_mail() const { return !domain.empty() || !tenant.empty(); }
};

struct TraceLine {
    enum class Who : uint8_t { we, host, content, note };
    WallTime at{};
    std::shared_ptr<const TracedConnection> connection;
    Who who{};
    std::string text;  // without its line end; any octets
};
std::string_view to_string(TraceLine::Who who);

/// What was said since the last time somebody asked.
struct TraceRead {
    bool seated = false;    // false: too many look already
    uint64_t left_out = 0;  // lines that had no room because nobody took those before them
    std::vector<TraceLine> lines;
};

/// Of one shard. Who looks comes again for what was said; who has not come for a while is
/// forgotten.
class TraceDesk {
  public:
    static constexpr size_t viewers_max = 8;
    static constexpr size_t lines_max = 4000, bytes_max = 1 << 20;  // kept for each of them
    static constexpr size_t line_bytes_max = 2048;
    static constexpr std::chrono::seconds forgotten_after{5};

    TraceDesk(const Clock& clock, ShardId shard) : clock_(clock), shard_(shard) {}

    /// Takes what is there for `viewer`, a number of its own. The first time it begins to be kept.
    /// Null: the viewer leaves.
    TraceRead read(uint64_t viewer, const std::shared_ptr<const TraceFilter>& filter);
    bool watched() const { return !viewers_.empty(); }
    bool wants_content() const;
    std::string next_connection();  // a name for it

    /// Keeps a line for all viewers whose filter lets it through. `is_of(filter)` says whether the
    /// connection has mail that the filter asks for; it is asked only when that is what counts.
    template <class IsOf>
    void keep(const std::shared_ptr<const TracedConnection>& connection, TraceLine::Who who,
              std::string_view text, IsOf is_of) {
        forget();
        for (Viewer& viewer : viewers_) {
            const TraceFilter& filter = *viewer.filter;
            if (who == TraceLine::Who::content && !filter.content) continue;
            if (!filter.lets_through(*connection)) continue;
            if (!filter.asks_for_mail() || is_of(filter))
                add(viewer,
                    {clock_.wall(), connection, who, std::string(text.substr(0, line_bytes_max))});
        }
    }

  private:
    struct Viewer {
        uint64_t number = 0;
        std::shared_ptr<const TraceFilter> filter;
        Instant read_at{};
        std::vector<TraceLine> lines;
        size_t bytes = 0;
        uint64_t left_out = 0;
    };
    void forget();
    static void add(Viewer& viewer, TraceLine line);

    const Clock& clock_;
    const ShardId shard_;
    std::vector<Viewer> viewers_;
    uint64_t connections_ = 0;
};

}  // namespace engine

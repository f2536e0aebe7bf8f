#include "ingest/live_snapshot.h"

#include <algorithm>
#include <array>
#include <utility>

#include "ingest/event_json.h"
#include "ingest/job_counts_json.h"
#include "ingest/json_out.h"
#include "ingest/units.h"
#include "storage/ledger.h"

namespace ingest {

using storage::Event;
using storage::JobCounts;

namespace {

constexpr size_t troubles_shown = 24, others_shown = 12;

JobCounts counts_of(const LiveReading& reading, std::string_view tenant) {
    JobCounts sum;
    for (const auto& [name, counts] : reading.ledger)
        if (tenant.empty() || name == tenant) sum += counts;
    return sum;
}

/// What has come since; counters that a restart of counting set back count as nothing.
uint64_t since(uint64_t before, uint64_t after) {
    return after > before ? after - before : 0;
}

class Snapshot {
  public:
    Snapshot(const LiveReadings& readings, std::string_view tenant)
        : now_(*readings.back()),
          before_(*readings[readings.size() > 1 ? readings.size() - 2 : 0]),
          oldest_(*readings.front()),
          tenant_(tenant),
          seconds_(std::max(std::chrono::duration<double>(now_.time - before_.time).count(), 0.1)) {
    }

    std::string json(const LiveNode& node) {
        JsonObject object(out_);
        object.text("time", format_time(now_.time)).number("number", now_.number);
        object.text("node", node.name).text("version", node.version).text("state", node.state);
        object.text_if("refusal", node.refusal);
        object.key("totals");
        {
            JsonObject totals(out_);
            append_counts(totals, counts_of(now_, tenant_));
            totals.close();
        }
        object.key("rates");
        rates();
        if (tenant_.empty()) {
            object.key("queue");
            queue();
            object.key("latency");
            latency();
            object.key("connections");
            connections();
            object.key("providers");
            providers();
            object.key("bounce_classes");
            bounce_classes();
            object.key("shards_busy");
            shards();
            object.number("sites_spread", static_cast<uint64_t>(now_.sites_spread));
        }
        object.key("events");
        events();
        object.close();
        return std::move(out_);
    }

  private:
    double rate(uint64_t before, uint64_t after) const {
        return static_cast<double>(since(before, after)) / seconds_;
    }

    void rates() {
        const JobCounts then = counts_of(before_, tenant_), now = counts_of(now_, tenant_);
        JsonObject rates(out_);
        rates.number("accepted", rate(then.accepted, now.accepted));
        rates.number("delivered", rate(then.delivered, now.delivered));
        rates.number("deferred", rate(then.deferrals, now.deferrals));
        rates.number("bounced", rate(then.bounced, now.bounced));
        rates.number("expired", rate(then.expired, now.expired));
        rates.number("cancelled", rate(then.cancelled, now.cancelled));
        rates.number("suppressed", rate(then.suppressed, now.suppressed));
        rates.close();
    }

    void queue() {
        const auto ready = static_cast<uint64_t>(now_.ready),
                   sending = static_cast<uint64_t>(now_.sending);
        JsonObject queue(out_);
        queue.number("scheduled", since(ready + sending, now_.open_rows));
        queue.number("ready", ready).number("sending", sending);
        queue.number("oldest_seconds", now_.oldest_seconds);
        queue.number("bytes", now_.data_bytes).number("free_bytes", now_.free_bytes).close();
    }

    void latency() {
        JsonObject object(out_);
        uint64_t messages = 0;
        for (size_t i = 0; i < now_.latency.counts.size(); ++i)
            messages += since(oldest_.latency.counts[i], now_.latency.counts[i]);
        object.number("messages", messages);
        object.number("seconds", std::chrono::duration<double>(now_.time - oldest_.time).count());
        for (const auto& [name, share] :
             {std::pair("p50", 0.5), std::pair("p90", 0.9), std::pair("p99", 0.99)}) {
            object.number(name,
                          percentile(oldest_.latency, now_.latency, now_.latency_bounds, share));
        }
        object.close();
    }

    void connections() {
        JsonObject object(out_);
        for (const auto& [state, count] : now_.connections)
            object.number(state, static_cast<uint64_t>(count));
        object.close();
    }

    void providers() {
        out_ += '[';
        bool first = true;
        for (const auto& [name, now] : now_.providers) {
            const auto found = before_.providers.find(name);
            const LiveReading::Provider then =
                found == before_.providers.end() ? LiveReading::Provider{} : found->second;
            if (!std::exchange(first, false)) out_ += ',';
            JsonObject one(out_);
            one.text("provider", name);
            one.number("delivered", rate(then.delivered, now.delivered));
            one.number("deferred", rate(then.deferred, now.deferred));
            one.number("bounced", rate(then.bounced, now.bounced));
            one.number("busy", static_cast<uint64_t>(now.busy));
            one.number("idle", static_cast<uint64_t>(now.idle));
            one.number("throttled_seconds", now.throttled_seconds).close();
        }
        out_ += ']';
    }

    void bounce_classes() {
        out_ += '[';
        bool first = true;
        for (const auto& [name, total] : now_.bounce_classes) {
            const auto then = before_.bounce_classes.find(name);
            if (!std::exchange(first, false)) out_ += ',';
            JsonObject one(out_);
            one.text("class", name).number("total", total);
            one.number("rate",
                       rate(then == before_.bounce_classes.end() ? 0 : then->second, total));
            one.close();
        }
        out_ += ']';
    }

    void shards() {
        out_ += '[';
        for (size_t i = 0; i < now_.shard_busy_ns.size(); ++i) {
            if (i > 0) out_ += ',';
            const uint64_t then = i < before_.shard_busy_ns.size() ? before_.shard_busy_ns[i] : 0;
            const double share = rate(then, now_.shard_busy_ns[i]) / 1e9;
            out_ += std::to_string(std::min(share, 1.0));
        }
        out_ += ']';
    }

    /// The newest: first those that somebody may have to look at, and some of the others.
    void events() {
        std::vector<const Event*> shown;
        size_t troubles = 0, others = 0;
        for (auto event = now_.events.rbegin(); event != now_.events.rend(); ++event) {
            if (!tenant_.empty() && event->tenant != tenant_) continue;
            const bool fine =
                event->type == Event::Type::accepted || event->type == Event::Type::delivered;
            size_t& count = fine ? others : troubles;
            if (count >= (fine ? others_shown : troubles_shown)) continue;
            ++count;
            shown.push_back(&*event);
        }
        out_ += '[';
        for (auto event = shown.rbegin(); event != shown.rend(); ++event) {
            if (event != shown.rbegin()) out_ += ',';
            append_event(out_, **event);
        }
        out_ += ']';
    }

    const LiveReading &now_, &before_, &oldest_;
    std::string_view tenant_;
    double seconds_;
    std::string out_;
};

}  // namespace

double percentile(const metrics::Histogram::Reading& before,
                  const metrics::Histogram::Reading& after, metrics::Buckets bounds, double share) {
    std::array<uint64_t, metrics::Histogram::buckets_max + 1> counts{};
    uint64_t all = 0;
    for (size_t i = 0; i <= bounds.size(); ++i)
        all += counts[i] = since(before.counts[i], after.counts[i]);
    if (all == 0 || bounds.empty()) return 0;
    const double wanted = share * static_cast<double>(all);
    double below = 0;
    for (size_t i = 0; i < bounds.size(); ++i) {
        const auto here = static_cast<double>(counts[i]);
        if (here > 0 && below + here >= wanted) {
            const double low = i == 0 ? 0 : bounds[i - 1];
            return low + (bounds[i] - low) * (wanted - below) / here;
        }
        below += here;
    }
    return bounds.back();
}

std::string live_json(const LiveReadings& readings, const LiveNode& node, std::string_view tenant) {
    return Snapshot(readings, tenant).json(node);
}

}  // namespace ingest

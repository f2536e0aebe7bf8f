#include "ingest/live_reading.h"

#include <algorithm>
#include <cstring>

#include "metrics/catalog.h"
#include "metrics/series.h"

namespace ingest {

namespace catalog = metrics::catalog;

namespace {

bool is_of(const metrics::Series& series, const metrics::Family& family) {
    return series.family == &family || std::strcmp(series.family->name, family.name) == 0;
}

uint64_t counted(const metrics::Series& series) {
    const auto* counter = std::get_if<metrics::Counter>(&series.value);
    return counter ? counter->value() : 0;
}

double gauged(const metrics::Series& series) {
    const auto* gauge = std::get_if<metrics::Gauge>(&series.value);
    return gauge ? gauge->value() : 0;
}

/// Adds one series up where it belongs; most belong nowhere.
class Adder {
  public:
    explicit Adder(LiveReading& into) : into_(into) {}

    void add(const metrics::Series& series) {
        const auto& labels = series.labels;
        if (is_of(series, catalog::messages_completed)) {
            const uint64_t n = counted(series);
            LiveReading::Provider& one = provider(labels[0]);
            (labels[1] == "delivered" ? one.delivered : one.bounced) += n;
        } else if (is_of(series, catalog::delivery_attempts)) {
            if (labels[1] == "deferred") provider(labels[0]).deferred += counted(series);
        } else if (is_of(series, catalog::bounces)) {
            into_.bounce_classes[labels[1]] += counted(series);
        } else if (is_of(series, catalog::throttled_seconds)) {
            provider(labels[0]).throttled_seconds += static_cast<double>(counted(series));
        } else if (is_of(series, catalog::connections)) {
            into_.connections[labels[1]] += gauged(series);
            LiveReading::Provider& one = provider(labels[0]);
            if (labels[1] == "busy") one.busy += gauged(series);
            if (labels[1] == "idle") one.idle += gauged(series);
        } else if (is_of(series, catalog::queue_messages)) {
            if (labels[0] == "ready") into_.ready += gauged(series);
            if (labels[0] == "sending") into_.sending += gauged(series);
        } else if (is_of(series, catalog::queue_oldest)) {
            into_.oldest_seconds = std::max(into_.oldest_seconds, gauged(series));
        } else if (is_of(series, catalog::shard_busy)) {
            into_.shard_busy_ns.push_back(counted(series));
        } else if (is_of(series, catalog::sites_spread)) {
            into_.sites_spread += gauged(series);
        } else if (is_of(series, catalog::delivery_duration)) {
            add_latency(series);
        }
    }

  private:
    LiveReading::Provider& provider(const std::string& name) {
        const bool room = into_.providers.size() < LiveReading::providers_max;
        if (room || into_.providers.contains(name)) return into_.providers[name];
        return into_.providers["other"];
    }

    void add_latency(const metrics::Series& series) {
        const auto* histogram = std::get_if<metrics::Histogram>(&series.value);
        if (!histogram) return;
        into_.latency_bounds = histogram->bounds();
        const auto reading = histogram->read();
        for (size_t i = 0; i < reading.counts.size(); ++i)
            into_.latency.counts[i] += reading.counts[i];
        into_.latency.sum += reading.sum;
    }

    LiveReading& into_;
};

}  // namespace

LiveReading read_live(std::span<const metrics::Registry* const> registries, storage::Store& store) {
    LiveReading reading{.ledger = store.ledger()};
    Adder adder(reading);
    for (const metrics::Registry* registry : registries)
        registry->state().each([&](const metrics::Series& series) { adder.add(series); });
    for (const auto& [tenant, counts] : reading.ledger) reading.open_rows += counts.open();
    reading.free_bytes = store.free_bytes();
    reading.data_bytes = store.data_bytes();
    const uint64_t last = store.last_event();
    const uint64_t after =
        last > LiveReading::events_looked_at ? last - LiveReading::events_looked_at : 0;
    // What cannot be read is left out: this is a look, and the next one comes in a second.
    if (auto events = store.events(after, LiveReading::events_looked_at))
        reading.events = std::move(*events);
    return reading;
}

}  // namespace ingest

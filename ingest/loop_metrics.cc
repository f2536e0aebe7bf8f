#include "ingest/loop_metrics.h"

#include <chrono>
#include <string>
#include <utility>

#include "metrics/catalog.h"

namespace ingest {

namespace catalog = metrics::catalog;
using engine::ReactorStats;

namespace {
std::string label(engine::ShardId shard) {
    return std::to_string(shard);
}
}  // namespace

LoopMetrics::LoopMetrics(metrics::Registry& registry, engine::ShardId shard)
    : turn_seconds_(registry.histogram(catalog::shard_turn, {label(shard)})),
      completions_(registry.histogram(catalog::ring_completions, {label(shard)})),
      busy_(registry.counter(catalog::shard_busy, {label(shard)})),
      operations_(registry.counter(catalog::ring_operations, {label(shard)})),
      enters_(registry.counter(catalog::ring_enters, {label(shard)})),
      overflows_(registry.counter(catalog::ring_overflows, {label(shard)})),
      starved_(registry.counter(catalog::receive_starved, {label(shard)})),
      buffers_used_(registry.gauge(catalog::receive_buffers, {label(shard), "used"})),
      buffers_free_(registry.gauge(catalog::receive_buffers, {label(shard), "free"})),
      mailbox_(registry.gauge(catalog::mailbox_waiting, {label(shard)})),
      commits_(registry.gauge(catalog::worker_backlog, {"commit"})),
      reads_(registry.gauge(catalog::worker_backlog, {"read"})) {}

void LoopMetrics::turned(const ReactorStats& now) {
    if (now.turns == seen_.turns) return;  // sources are asked twice in a turn
    const auto busy = now.busy - seen_.busy;
    busy_.add(static_cast<uint64_t>(busy.count()));
    turn_seconds_.observe(std::chrono::duration<double>(busy).count());
    completions_.observe(static_cast<double>(now.cqes - seen_.cqes));
    seen_ = now;
}

void LoopMetrics::observe(const ReactorStats& now, Backlogs backlogs) {
    const ReactorStats before = std::exchange(counted_, now);
    operations_.add(now.sqes - before.sqes);
    enters_.add(now.enters - before.enters);
    overflows_.add(now.overflows - before.overflows);
    starved_.add(now.starvations - before.starvations);
    buffers_used_.set(now.buffers_total - now.buffers_free);
    buffers_free_.set(now.buffers_free);
    mailbox_.set(static_cast<double>(backlogs.mailbox));
    commits_.set(static_cast<double>(backlogs.commits));
    reads_.set(static_cast<double>(backlogs.reads));
}

}  // namespace ingest

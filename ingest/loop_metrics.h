// LoopMetrics: what a shard's loop and ring tell of themselves.
#pragma once

#include "engine/reactor/shards.h"
#include "engine/reactor/uring_reactor.h"
#include "metrics/metric.h"

namespace ingest {

class LoopMetrics {
  public:
    LoopMetrics(metrics::Registry& registry, engine::ShardId shard);

    /// Once a turn or more often: what is new since the last time.
    void turned(const engine::ReactorStats& now);

    struct Backlogs {
        size_t mailbox = 0, commits = 0, reads = 0;
    };
    /// Once a second.
    void observe(const engine::ReactorStats& now, Backlogs backlogs);

  private:
    engine::ReactorStats seen_;     // by turned()
    engine::ReactorStats counted_;  // by observe()
    metrics::Histogram& turn_seconds_;
    metrics::Histogram& completions_;
    metrics::Counter& busy_;
    metrics::Counter& operations_;
    metrics::Counter& enters_;
    metrics::Counter& overflows_;
    metrics::Counter& starved_;
    metrics::Gauge& buffers_used_;
    metrics::Gauge& buffers_free_;
    metrics::Gauge& mailbox_;
    metrics::Gauge& commits_;
    metrics::Gauge& reads_;
};

}  // namespace ingest

// What every HTTP handler of one shard may use. Made once per shard by the daemon; outlives its
// connections.
#pragma once

#include <string>

#include "engine/delivery/feed.h"
#include "engine/delivery/intake.h"
#include "engine/delivery/node.h"
#include "engine/delivery/orders.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/shards.h"
#include "engine/reactor/worker.h"
#include "ingest/api_keys.h"
#include "ingest/config.h"
#include "ingest/console_files.h"
#include "ingest/idempotency.h"
#include "ingest/job_json.h"
#include "ingest/tls_report_json.h"
#include "metrics/metric.h"
#include "storage/store.h"

namespace ingest {

class LiveDesk;
class Reloader;

struct HttpContext {
    engine::Reactor& reactor;
    engine::Post& post;
    engine::Worker& worker;  // for reads of the store, which blocks, and for parsing what is large
    engine::Worker& long_work;  // for what takes minutes; one at a time in the whole daemon
    storage::Store& store;
    engine::Intake& intake;
    engine::Feed& feed;
    engine::Node& node;
    metrics::Registry& metrics;
    IdempotencyKeys& idempotency;  // one for the whole daemon
    const bool& draining;
    const ApiKeys& api_keys;
    std::string node_name;
    std::string version;
    TlsReporter reporter{};
    std::shared_ptr<const Config> config{};  // these five: null in tests of what needs none
    Reloader* reloader = nullptr;
    LiveDesk* live = nullptr;
    const std::vector<ConsoleFile>* console = nullptr;
    engine::Orders* orders = nullptr;
    JobReader reader{};  // its buffers serve one small request after the other
};

}  // namespace ingest

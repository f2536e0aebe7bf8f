// Exposer: the Prometheus page at /metrics. It runs on its own threads, reads the shards'
// registries with relaxed loads and adds up what they hold under one name; a scrape costs the
// shards nothing.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "metrics/metric.h"

namespace metrics {

class Exposer {
  public:
    /// `address` is "ip:port"; port 0 takes a free one. Adds process_* and
    /// sluice_build_info{version} by itself. The error is one line for the operator: what, where,
    /// how to mend it.
    static std::expected<std::unique_ptr<Exposer>, std::string> start(const std::string& address,
                                                                      const std::string& version);
    ~Exposer();  // ends the endpoint; no hook runs after it

    /// From now on the page holds this registry's series. It must outlive the exposer.
    void add(const Registry& registry);
    /// Called at each scrape, on the exposer's thread, before the page is made: for gauges that
    /// nobody keeps current, such as free disk space. `hook` may set series of the registry it is
    /// given and must not touch what shards own.
    void on_scrape(std::function<void(Registry&)> hook);

    uint16_t port() const;

  private:
    Exposer();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace metrics

// ConfigInForce: the configuration that the daemon goes by, which a reload replaces.
#pragma once

#include <atomic>
#include <memory>

#include "ingest/config.h"

namespace ingest {

/// Any thread. Whoever has taken it keeps what it took.
class ConfigInForce {
  public:
    explicit ConfigInForce(std::shared_ptr<const Config> config) : config_(std::move(config)) {}

    std::shared_ptr<const Config> get() const { return config_.load(std::memory_order_acquire); }
    std::shared_ptr<const engine::Settings> settings() const { return settings_of(get()); }
    void set(std::shared_ptr<const Config> config) {
        config_.store(std::move(config), std::memory_order_release);
    }

    static std::shared_ptr<const engine::Settings> settings_of(
        const std::shared_ptr<const Config>& config) {
        return {config, &config->delivery};
    }

  private:
    std::atomic<std::shared_ptr<const Config>> config_;
};

}  // namespace ingest

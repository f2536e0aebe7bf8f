// SettingsBook: which settings the node goes by, as it is known outside. A reload reaches the
// shards one after the other, and what has begun by the settings before is seen a while later: so
// what must hold is asked of all settings that may have counted.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/delivery/settings.h"
#include "tests/sim/world.h"

namespace sim {

using Snapshot = std::shared_ptr<const engine::Settings>;

class SettingsBook {
  public:
    /// Where the first domain is led by a fixed route, in some settings.
    static constexpr const char* fixed_host = "fixed.test";
    static constexpr const char* fixed_group = "fixed";

    explicit SettingsBook(World& world) : world_(world) {}

    void boots(Snapshot with);
    void called(Snapshot next);
    void stands();
    const engine::Settings& latest() const { return *steps_.back().settings; }
    bool changed() const { return steps_.size() > 1; }

    /// How long before it is seen a connection, or its first mail, may have been begun: it asks the
    /// DNS, and other hosts first, which may be silent. Short where nothing goes wrong.
    Nanoseconds lag(Instant at) const;
    void prompt_from(Instant when) { prompt_from_ = when; }

    /// Those that some shard may have gone by between the two.
    std::vector<const engine::Settings*> possible(Instant from, Instant to) const;
    template <class Judge>
    bool all(Instant from, Instant to, Judge judge) const {
        for (const engine::Settings* one : possible(from, to))
            if (!judge(*one)) return false;
        return true;
    }
    /// The most that any of them allows; 0: no limit, which is more than all.
    template <class Of>
    auto most(Instant from, Instant to, Of of) const {
        auto most = of(latest());
        bool first = true;
        for (const engine::Settings* one : possible(from, to)) {
            const auto value = of(*one);
            if (first || value == 0 || (most != 0 && value > most)) most = value;
            first = false;
        }
        return most;
    }

  private:
    struct Step {
        Snapshot settings;
        Instant called;
        std::optional<Instant> stands;  // on all shards
    };
    World& world_;
    std::vector<Step> steps_;
    std::optional<Instant> prompt_from_;
};

/// Whose limits and totals a group of hosts has; null: nobody's.
const engine::Provider* provider_of(const engine::Settings& settings, const std::string& group);
std::string provider_name_of(const engine::Settings& settings, const std::string& group);
engine::Limits limits_of(const engine::Settings& settings, const std::string& group);
/// For the trace: what may be changed of them.
std::string describe(const engine::Settings& settings);
/// The domain that the settings lead to the fixed host; null: none.
const engine::DomainSettings* led_domain(const engine::Settings& settings);

}  // namespace sim

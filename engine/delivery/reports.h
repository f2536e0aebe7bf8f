// Reports: delivery status notifications (RFC 3461, 3464) for decisions that ask for them. A report
// is a job of its own, of one recipient and without a sender, and is committed in the same batch as
// the events that it tells of: no crash loses or doubles it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/delivery/outcomes.h"
#include "engine/delivery/settings_in_force.h"
#include "engine/delivery/spool.h"

namespace engine {

class ShardIntake;

class Reports {
  public:
    static constexpr size_t recipients_max =
        100;  // of one report; what more there is goes in another

    Reports(ShardIntake& intake, const SettingsInForce& settings);

    /// Adds the reports that `decisions` ask for to an empty batch. What one batch tells of one job
    /// is one report.
    void add(std::span<const Decision> decisions, storage::Batch& batch,
             std::vector<Spool::Origin>& origins);

  private:
    using Group = std::vector<const Decision*>;
    void add_group(const Group& group, storage::Batch& batch, std::vector<Spool::Origin>& origins);

    ShardIntake& intake_;
    const SettingsInForce& settings_;
};

}  // namespace engine

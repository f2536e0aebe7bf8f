// What is different between two configurations, and what of it has to wait for a restart.
#pragma once

#include <string>
#include <vector>

#include "ingest/config.h"

namespace ingest {

struct ConfigChange {
    std::string name;                   // as Config::Effective
    std::string old_value, old_origin;  // empty: it was not set
    std::string value, origin;          // empty: it is not set any more
    bool needs_restart = false;
};

/// In the order of `next`; what it does not have any more comes last. A setting whose line alone
/// has moved is no change.
std::vector<ConfigChange> changes_between(const Config& now, const Config& next);

/// The files that both are made of and whose contents differ, but for the configuration's own.
std::vector<std::string> files_changed(const Config& now, const Config& next);

/// Gives `next` the values that are in force, those of `now`, of what needs a restart.
void keep_until_restart(Config& next, const Config& now, const std::vector<ConfigChange>& changes);

}  // namespace ingest

// The settings of a seed's run, and what operators change of them.
#pragma once

#include <memory>
#include <string>

#include "engine/delivery/settings.h"
#include "tests/sim/plan.h"
#include "tests/sim/world.h"

namespace sim {

std::shared_ptr<engine::Settings> draw_settings(World& world);
/// Of a provider.
engine::LimitLayer draw_limits(World& world);
std::string suffix_of(const std::string& group);
/// Quotas stay as they are.
void draw_totals(World& world, engine::Settings& settings);
/// One or two, which last for an hour that begins soon.
void draw_quotas(World& world, engine::Settings& settings);
/// One thing that an operator may change.
void change(const Plan& plan, World& world, engine::Settings& settings);

}  // namespace sim

// What every setting is, for people: made of the table of settings, so that it cannot be out of
// date.
#pragma once

#include <string>

namespace ingest {

/// Markdown; deploy/CONFIGURATION.md is this text.
std::string config_reference();
/// man(7) source of sluice.toml(5).
std::string config_man_page();

}  // namespace ingest

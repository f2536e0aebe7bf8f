// Which events a reader of the event log wants.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "storage/types.h"

namespace ingest {

/// What is empty lets everything through.
struct EventFilter {
    uint32_t types = 0;  // a bit per type; 0: all
    std::string tenant, campaign, to;

    bool takes(const storage::Event& event) const;
};

/// Bits of "bounced,expired". The error says what such a list is made of.
std::expected<uint32_t, std::string> parse_event_types(std::string_view list);

}  // namespace ingest

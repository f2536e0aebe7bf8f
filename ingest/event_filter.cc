#include "ingest/event_filter.h"

#include <algorithm>

#include "ingest/event_json.h"

namespace ingest {

bool EventFilter::takes(const storage::Event& event) const {
    if (!tenant.empty() && event.tenant != tenant) return false;
    if (types != 0 && !(types & (1u << static_cast<unsigned>(event.type)))) return false;
    return (campaign.empty() || event.campaign == campaign) && (to.empty() || event.to == to);
}

std::expected<uint32_t, std::string> parse_event_types(std::string_view list) {
    uint32_t types = 0;
    while (!list.empty()) {
        const size_t end = std::min(list.find(','), list.size());
        const auto type = parse_event_type(list.substr(0, end));
        if (!type) {
            return std::unexpected(
                "is not a list of event types: accepted, delivered, deferred, bounced, expired, "
                "cancelled, suppressed, complaint, async_bounce");
        }
        types |= 1u << static_cast<unsigned>(*type);
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return types;
}

}  // namespace ingest

#include "ingest/event_json.h"

#include <algorithm>
#include <array>

#include "engine/delivery/intake.h"
#include "ingest/json_out.h"
#include "ingest/units.h"
#include "storage/ids.h"

namespace ingest {

namespace {
constexpr std::array<std::string_view, 9> type_names{"accepted",   "delivered", "deferred",
                                                     "bounced",    "expired",   "cancelled",
                                                     "suppressed", "complaint", "async_bounce"};
}

std::string_view to_string(storage::Event::Type type) {
    return type_names[static_cast<size_t>(type)];
}

std::optional<storage::Event::Type> parse_event_type(std::string_view name) {
    const auto found = std::ranges::find(type_names, name);
    if (found == type_names.end()) return std::nullopt;
    return static_cast<storage::Event::Type>(found - type_names.begin());
}

std::string_view to_string(storage::Class klass) {
    return klass == storage::Class::transactional ? "transactional" : "bulk";
}

void append_event(std::string& out, const storage::Event& event) {
    JsonObject object(out);
    object.number("seq", event.seq);
    // Unique over nodes, too: the delivery's id holds the time and the shard, the sequence is the
    // node's.
    object.text("id", storage::to_text(event.delivery) + "-" + std::to_string(event.seq));
    object.text("type", to_string(event.type)).text("time", format_time(event.time));
    object.text("job", storage::to_text(event.delivery.job))
        .text("delivery", storage::to_text(event.delivery));
    object.text_if("tenant", event.tenant)
        .text_if("campaign", event.campaign)
        .text("class", to_string(event.klass));
    object.text_if("from", event.from).text_if("to", event.to).text_if("domain", event.domain);
    object.text_if("site", event.site).text_if("provider", event.provider).text_if("mx", event.mx);
    object.text_if("ip", event.ip).text_if("source", event.source);
    if (event.attempt > 0) object.number("attempt", event.attempt);
    object.text_if("stage", event.stage);
    if (event.code > 0) object.number("code", event.code);
    object.text_if("enhanced", event.enhanced).text_if("reply", event.reply);
    object.text_if("bounce_class", event.bounce_class).text_if("bounce_kind", event.bounce_kind);
    if (event.next_attempt) object.text("next_attempt", format_time(*event.next_attempt));
    if (event.queue_ms > 0) object.number("queue_ms", event.queue_ms);
    if (event.smtp_ms > 0) object.number("smtp_ms", event.smtp_ms);
    object.text_if("tls", event.tls);
    if (event.in_doubt) object.flag("in_doubt", true);
    if (event.may_be_duplicate) object.flag("may_be_duplicate", true);
    if (!event.meta.empty()) object.raw("meta", event.meta);
    object.close();
}

}  // namespace ingest

#include <array>

#include "ingest/setting_check.h"
#include "ingest/setting_tables.h"

namespace ingest::tables {

namespace {
const std::array table = {
    Setting{"webhook",
            "name",
            Type::text,
            "",
            Reload::restart,
            {.check = check_label, .required = true},
            "Names the receiver of events, in metrics too; its place in the event log is kept by "
            "this name.",
            [](T to, V v) { to.webhook->name = std::move(v.text); }},
    Setting{
        "webhook",
        "url",
        Type::text,
        "",
        Reload::restart,
        {.check = check_webhook_url, .required = true},
        "Where events are POSTed to as lines of JSON; what is not answered with 2xx goes again.",
        [](T to, V v) { to.webhook->url = std::move(v.text); }},
    Setting{"webhook",
            "types",
            Type::texts,
            "",
            Reload::restart,
            {.check = check_event_type},
            "Only events of these types; default: all.",
            [](T to, V v) {
                for (const std::string& type : v.texts)
                    to.webhook->filter.types |= parse_event_types(type).value_or(0);
            }},
    Setting{"webhook",
            "tenant",
            Type::text,
            "",
            Reload::restart,
            {.check = check_tenant},
            "Only events of this tenant's mail; default: everybody's.",
            [](T to, V v) { to.webhook->filter.tenant = std::move(v.text); }},
    Setting{"webhook",
            "secret_file",
            Type::text,
            "",
            Reload::restart,
            {.check = check_secret_file},
            "File whose first line signs each request (HMAC-SHA256, Sluice-Signature); readable by "
            "this user only. Read for each request.",
            [](T to, V v) { to.webhook->secret_file = std::move(v.text); }},
    Setting{"webhook",
            "ca_file",
            Type::text,
            "",
            Reload::restart,
            {.check = check_path},
            "Authorities that its certificate must lead to, PEM; default: the system's.",
            [](T to, V v) { to.webhook->ca_file = std::move(v.text); }},
    Setting{"webhook",
            "batch",
            Type::integer,
            "",
            Reload::restart,
            {.least = 1, .most = 10'000},
            "Events of one request at most; default: 500. 413 halves it for a while.",
            [](T to, V v) { to.webhook->events_max = v.number; }},
    Setting{"webhook",
            "timeout",
            Type::duration,
            "",
            Reload::restart,
            {.least = second_ms, .most = 10 * minute_ms},
            "Until a request is answered; default: 30s.",
            [](T to, V v) { to.webhook->timeout = v.duration; }},
};
}  // namespace

std::span<const Setting> sinks() {
    return table;
}

}  // namespace ingest::tables

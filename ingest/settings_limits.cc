#include "ingest/setting_tables.h"

#include <array>

#include "ingest/setting_check.h"

namespace ingest::tables {

namespace {
constexpr uint64_t connections_max = 100'000, messages_max = 1'000'000;

constexpr std::string_view connections_help =
    "Connections of a source to a site at a time; 0: no limit.";
constexpr std::string_view connection_rate_help =
    "Connections that a source begins to a site; without it there is no limit.";
constexpr std::string_view messages_help =
    "Messages over one connection before it is closed; 0: no limit.";
constexpr std::string_view rate_help =
    "Messages of a source to a site; without it there is no limit.";
constexpr std::string_view recipients_help = "Recipients of one message that go together.";
constexpr std::string_view idle_help =
    "A connection without work is closed after this; default: that of [timeouts].";

constexpr std::string_view tls_help =
    "TLS to hosts: none, opportunistic (when offered), required (encrypted or deferred), verified "
    "(with a certificate that holds for the host, or deferred).";

engine::TlsPolicy tls_policy(std::string_view text) {
    if (text == "none") return engine::TlsPolicy::none;
    if (text == "required") return engine::TlsPolicy::required;
    return text == "verified" ? engine::TlsPolicy::verified : engine::TlsPolicy::opportunistic;
}

constexpr std::string_view depth_help =
    "How much of the dialogue goes out without waiting: \"lock_step\", \"envelope\", \"next\" (the "
    "next envelope behind a content), \"messages\" (whole ones, for own relays: a lost connection "
    "leaves that many in doubt); \"auto\": next, for hosts that have shown that they take it.";
constexpr std::string_view window_help =
    "Messages under way on a connection at depth \"messages\".";
constexpr uint64_t window_max = 64;

engine::LimitLayer::Dialogue dialogue_of(std::string_view name) {
    using Open = engine::SessionPlan::Open;
    return {.depth = name == "lock_step"  ? engine::Depth::lock_step
                     : name == "envelope" ? engine::Depth::envelope
                     : name == "messages" ? engine::Depth::messages
                                          : engine::Depth::next,
            .next = name == "next" ? Open::at_once : Open::after_probe};
}

const std::array table = {

    Setting{"",
            "connections",
            Type::integer,
            "20",
            Reload::live,
            {.most = connections_max},
            connections_help,
            [](T to, V v) { to.limits->connections = static_cast<uint32_t>(v.number); }},
    Setting{"",
            "connection_rate",
            Type::rate,
            "",
            Reload::live,
            {},
            connection_rate_help,
            [](T to, V v) { to.limits->connection_rate_per_second = v.rate; }},
    Setting{
        "",
        "messages_per_connection",
        Type::integer,
        "100",
        Reload::live,
        {.most = messages_max},
        messages_help,
        [](T to, V v) { to.limits->messages_per_connection = static_cast<uint32_t>(v.number); }},
    Setting{
        "",
        "recipients_per_transaction",
        Type::integer,
        "50",
        Reload::live,
        {.least = 1, .most = 1000},
        recipients_help,
        [](T to, V v) { to.limits->recipients_per_transaction = static_cast<uint32_t>(v.number); }},
    Setting{"",
            "rate",
            Type::rate,
            "",
            Reload::live,
            {},
            rate_help,
            [](T to, V v) { to.limits->rate_per_second = v.rate; }},
    Setting{"",
            "depth",
            Type::text,
            "\"auto\"",
            Reload::live,
            {.check = check_depth},
            depth_help,
            [](T to, V v) { to.limits->dialogue = dialogue_of(v.text); }},
    Setting{"",
            "window",
            Type::integer,
            "8",
            Reload::live,
            {.least = 1, .most = window_max},
            window_help,
            [](T to, V v) { to.limits->window = static_cast<uint32_t>(v.number); }},
    Setting{"",
            "tls",
            Type::text,
            "\"opportunistic\"",
            Reload::live,
            {.check = check_tls_policy},
            tls_help,
            [](T to, V v) { to.limits->tls = tls_policy(v.text); }},
};

const Setting idle_setting{"",
                           "idle",
                           Type::duration,
                           "",
                           Reload::live,
                           {.least = timeout_least, .most = timeout_most},
                           idle_help,
                           [](T to, V v) { to.limits->idle = v.duration; }};
}  // namespace

std::span<const Setting> limits() {
    return table;
}
const Setting& idle() {
    return idle_setting;
}

}  // namespace ingest::tables

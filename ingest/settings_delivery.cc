#include "ingest/setting_tables.h"

#include <array>

#include "ingest/bounce_rules_files.h"
#include "ingest/setting_check.h"

namespace ingest::tables {

namespace {
template <auto Which>
constexpr Setting timeout(std::string_view key, std::string_view fallback, std::string_view help) {
    return {"timeouts",     key,
            Type::duration, fallback,
            Reload::live,   {.least = timeout_least, .most = timeout_most},
            help,           [](T to, V v) { to.config.delivery.timeouts.*Which = v.duration; }};
}

constexpr std::string_view in_doubt_help =
    "When a content went out whole and nobody knows whether the host took it (its answer never "
    "came, or the daemon died before it had recorded it): \"retry\", \"hold\" until an operator "
    "decides, or \"assume_delivered\".";

engine::WhenInDoubt when_in_doubt(std::string_view text) {
    if (text == "hold") return engine::WhenInDoubt::hold;
    return text == "retry" ? engine::WhenInDoubt::retry : engine::WhenInDoubt::assume_delivered;
}

template <storage::Class Of>
Setting in_doubt(std::string_view key) {
    return {"in_doubt",
            key,
            Type::text,
            "\"retry\"",
            Reload::live,
            {.check = check_in_doubt},
            in_doubt_help,
            [](T to, V v) {
                to.config.delivery.in_doubt[static_cast<size_t>(Of)] = when_in_doubt(v.text);
            }};
}

const std::array table = {
    Setting{"delivery",
            "port",
            Type::integer,
            "25",
            Reload::restart,
            {.least = 1, .most = 65535},
            "Where MX hosts listen; tests set another.",
            [](T to, V v) { to.config.delivery.port = static_cast<uint16_t>(v.number); }},
    Setting{"delivery",
            "allow_addresses",
            Type::texts,
            "[]",
            Reload::restart,
            {.check = check_network},
            "Exceptions to the refusal of loopback, private, link-local and unspecified addresses.",
            [](T to, V v) { to.config.delivery.allow_addresses = std::move(v.texts); }},
    Setting{"delivery",
            "tls_ca_file",
            Type::text,
            "",
            Reload::restart,
            {.check = check_path},
            "Authorities that certificates must lead to, PEM; default: the system's.",
            [](T to, V v) { to.config.delivery.tls_ca_file = std::move(v.text); }},
    Setting{"delivery",
            "tls_min",
            Type::text,
            "\"1.2\"",
            Reload::restart,
            {.check = check_tls_version},
            "Oldest version of TLS that is spoken with hosts: 1.2 or 1.3.",
            [](T to, V v) {
                to.config.delivery.tls_least =
                    v.text == "1.3" ? engine::TlsVersion::tls13 : engine::TlsVersion::tls12;
            }},
    Setting{
        "delivery",
        "dane",
        Type::flag,
        "true",
        Reload::restart,
        {},
        "TLS as the signed DNS of a mail host demands it (RFC 7672); needs a validating resolver "
        "on this host.",
        [](T to, V v) { to.config.delivery.dane = v.flag; }},
    Setting{"delivery",
            "mta_sts",
            Type::flag,
            "true",
            Reload::restart,
            {},
            "TLS as a recipient domain's policy demands it (RFC 8461).",
            [](T to, V v) { to.config.delivery.mta_sts = v.flag; }},
    Setting{"delivery",
            "mta_sts_port",
            Type::integer,
            "443",
            Reload::restart,
            {.least = 1, .most = 65535},
            "Where the hosts of these policies listen; tests set another.",
            [](T to, V v) { to.config.delivery.mta_sts_port = static_cast<uint16_t>(v.number); }},
    Setting{"delivery",
            "bounce_rules",
            Type::texts,
            "[]",
            Reload::live,
            {.check = check_rules_file, .file = true},
            "Files of rules that sort replies into bounce classes, in front of the built-in ones "
            "(deploy/bounce_rules.toml).",
            [](T to, V v) {
                // A file that changed since it was checked keeps the built-in rules.
                if (auto rules = load_bounce_rules(v.texts))
                    to.config.delivery.bounce_rules = *rules;
            }},
    Setting{
        "delivery",
        "provider_files",
        Type::texts,
        "[]",
        Reload::live,
        {.check = check_path},
        "Files of [[provider]], [[domain]] and [[automation]] entries; those of this file change "
        "theirs key by key.",
        [](T to, V v) { to.config.provider_files = std::move(v.texts); }},
    timeout<&engine::SmtpTimeouts::connect>("connect", "\"30s\"", "Until a connection stands."),
    timeout<&engine::SmtpTimeouts::banner>("banner", "\"5m\"", "Until the whole greeting is here."),
    timeout<&engine::SmtpTimeouts::command>(
        "command", "\"5m\"", "Until the whole reply to EHLO, MAIL, RCPT or RSET is here."),
    timeout<&engine::SmtpTimeouts::tls>(
        "tls", "\"1m\"", "Until the reply to STARTTLS is here; then until the handshake is done."),
    timeout<&engine::SmtpTimeouts::data>("data", "\"2m\"",
                                         "Until the whole reply to DATA is here."),
    timeout<&engine::SmtpTimeouts::body>("body", "\"3m\"",
                                         "Until the receiver has taken a block of content."),
    timeout<&engine::SmtpTimeouts::final>(
        "final", "\"10m\"",
        "Until the whole reply to the content is here. A shorter one makes duplicates."),
    Setting{"timeouts",
            "idle",
            Type::duration,
            "\"30s\"",
            Reload::live,
            {.most = timeout_most},
            "A connection without work is closed after this.",
            [](T to, V v) { to.config.delivery.limits.idle = v.duration; }},
    Setting{"retry",
            "schedule",
            Type::durations,
            R"(["1m", "5m", "15m", "1h", "2h", "4h"])",
            Reload::live,
            {.least = 10, .most = 30 * day_ms},
            "Waits between attempts; the last one repeats. 10% jitter.",
            [](T to, V v) { to.config.delivery.retry_schedule = std::move(v.durations); }},
    Setting{"retry",
            "expires",
            Type::duration,
            "\"72h\"",
            Reload::live,
            {.least = second_ms, .most = 30 * day_ms},
            "Age at which a delivery that does not succeed is given up.",
            [](T to, V v) { to.config.delivery.expires = v.duration; }},
    in_doubt<storage::Class::transactional>("transactional"),
    in_doubt<storage::Class::bulk>("bulk"),
    Setting{"dsn",
            "delay_after",
            Type::duration,
            "\"4h\"",
            Reload::live,
            {.most = 30 * day_ms},
            "Age at which a sender is told, once, that mail is late; \"0s\": never.",
            [](T to, V v) { to.config.delivery.report_delay_after = v.duration; }},
    Setting{"dsn",
            "content_max",
            Type::size,
            "\"64KiB\"",
            Reload::live,
            {.most = 16ull << 20},
            "Mail up to this size goes back whole where RET=FULL asks for it, else its header.",
            [](T to, V v) { to.config.delivery.report_content_max = v.number; }},
    Setting{"suppression",
            "bounces",
            Type::texts,
            "[]",
            Reload::live,
            {.check = check_bounce_class},
            "Bounces of these classes put the recipient on the tenant's suppression list, such as "
            "invalid_recipient, inactive_mailbox, bad_domain.",
            [](T to, V v) { to.config.delivery.suppressed_bounces = bounce_bits(v.texts); }},
    Setting{"queue",
            "memory",
            Type::size,
            "\"512MiB\"",
            Reload::live,
            {.least = 16ull << 20, .most = 1ull << 44},
            "Budget for contents and windows of the queue, all shards together.",
            [](T to, V v) { to.config.delivery.memory_bytes = v.number; }},
    Setting{"queue",
            "bytes_max",
            Type::size,
            "\"50GiB\"",
            Reload::live,
            {.least = 1ull << 20, .most = 1ull << 50},
            "When data_dir holds more, nothing more is taken in.",
            [](T to, V v) { to.config.delivery.queue_bytes_max = v.number; }},
    Setting{"queue",
            "free_disk_min",
            Type::size,
            "\"1GiB\"",
            Reload::live,
            {.most = 1ull << 50},
            "When its file system has less room, nothing more is taken in.",
            [](T to, V v) { to.config.delivery.free_disk_min = v.number; }},
};
}  // namespace

std::span<const Setting> delivery() {
    return table;
}

}  // namespace ingest::tables

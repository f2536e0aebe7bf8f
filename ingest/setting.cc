#include "ingest/setting.h"

#include <algorithm>
#include <array>

#include "ingest/bounce_rules_files.h"
#include "ingest/password_hash.h"
#include "ingest/setting_check.h"

namespace ingest {

namespace {
using Type = Setting::Type;
using Reload = Setting::Reload;
using T = const SettingTarget&;
using V = SettingValue&&;

constexpr uint64_t second_ms = 1000, minute_ms = 60 * second_ms, day_ms = 24 * 60 * minute_ms;
constexpr uint64_t connections_max = 100'000, messages_max = 1'000'000;

std::vector<std::string> lower_case(std::vector<std::string> texts) {
    for (auto& text : texts)
        std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return texts;
}

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

constexpr std::string_view in_doubt_help =
    "When a content went out whole and nobody knows whether the host took it (its answer never "
    "came, or the daemon died before it had recorded it): \"retry\", \"hold\" until an operator "
    "decides, or \"assume_delivered\".";

engine::WhenInDoubt when_in_doubt(std::string_view text) {
    if (text == "hold") return engine::WhenInDoubt::hold;
    return text == "retry" ? engine::WhenInDoubt::retry : engine::WhenInDoubt::assume_delivered;
}

engine::TlsPolicy tls_policy(std::string_view text) {
    if (text == "none") return engine::TlsPolicy::none;
    if (text == "required") return engine::TlsPolicy::required;
    return text == "verified" ? engine::TlsPolicy::verified : engine::TlsPolicy::opportunistic;
}

engine::Credentials& credentials_of(engine::DomainSettings& domain) {
    if (!domain.credentials) {
        domain.credentials = std::make_shared<engine::Credentials>();
        for (const auto mechanism : engine::auth_mechanisms) {
            if (mechanism != engine::AuthMechanism::xoauth2)
                domain.credentials->mechanisms |= static_cast<uint8_t>(mechanism);
        }
    }
    return *domain.credentials;
}

uint8_t mechanisms_of(const std::vector<std::string>& names) {
    uint8_t all = 0;
    for (const auto mechanism : engine::auth_mechanisms) {
        if (std::ranges::find(names, to_string(mechanism)) != names.end())
            all |= static_cast<uint8_t>(mechanism);
    }
    return all;
}

constexpr std::string_view depth_help =
    "How much of the dialogue goes out without waiting: \"lock_step\", \"envelope\", \"next\" (the "
    "next envelope behind a content), \"messages\" (whole ones, for own relays: a lost connection "
    "leaves that many in doubt); \"auto\": next, for hosts that have shown that they take it.";
constexpr std::string_view window_help =
    "Messages under way on a connection at depth \"messages\".";
constexpr uint64_t window_max = 64;

engine::WarmupPlan& warmup_of(engine::SourceSettings& source) {
    if (!source.warmup) source.warmup.emplace();
    return *source.warmup;
}

engine::LimitLayer::Dialogue dialogue_of(std::string_view name) {
    using Open = engine::SessionPlan::Open;
    return {.depth = name == "lock_step"  ? engine::Depth::lock_step
                     : name == "envelope" ? engine::Depth::envelope
                     : name == "messages" ? engine::Depth::messages
                                          : engine::Depth::next,
            .next = name == "next" ? Open::at_once : Open::after_probe};
}

// Bounds of timeouts: below a tenth of a second nothing on the Internet answers; above an hour a
// dead peer holds its slot for too long.
constexpr uint64_t timeout_least = 100, timeout_most = 60 * minute_ms;

/// Those of [delivery], of every [[provider]] and every [[domain]]; the section is put in.
const std::array limit_settings = {

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

/// Of [[provider]] and [[domain]] alone; for all others it is a timeout.
const Setting idle_setting{"",
                           "idle",
                           Type::duration,
                           "",
                           Reload::live,
                           {.least = timeout_least, .most = timeout_most},
                           idle_help,
                           [](T to, V v) { to.limits->idle = v.duration; }};

const std::array table = {

    Setting{"node",
            "name",
            Type::text,
            "",
            Reload::restart,
            {.check = check_host_name},
            "Name that we say in EHLO; default: the host's full name.",
            [](T to, V v) { to.config.delivery.node_name = std::move(v.text); }},
    Setting{"node",
            "data_dir",
            Type::text,
            "\"/var/lib/sluice\"",
            Reload::restart,
            {.check = check_path},
            "Where the queue is kept.",
            [](T to, V v) { to.config.data_dir = v.text; }},
    Setting{"node",
            "log_dir",
            Type::text,
            "",
            Reload::restart,
            {.check = check_path},
            "Where the queue's write-ahead log is kept; default: in data_dir.",
            [](T to, V v) { to.config.log_dir = v.text; }},
    Setting{"node",
            "shards",
            Type::integer,
            "0",
            Reload::restart,
            {.most = 256},
            "Threads that do the work; 0: one per core.",
            [](T to, V v) { to.config.shards = static_cast<unsigned>(v.number); }},
    Setting{"node",
            "signers",
            Type::integer,
            "0",
            Reload::restart,
            {.most = 256},
            "Threads that sign mail with DKIM; 0: one per core.",
            [](T to, V v) { to.config.signers = static_cast<unsigned>(v.number); }},
    Setting{"node",
            "organization",
            Type::text,
            "",
            Reload::restart,
            {},
            "Who runs this node, in TLS reports; default: the node's name.",
            [](T to, V v) { to.config.organization = std::move(v.text); }},
    Setting{"node",
            "contact",
            Type::text,
            "",
            Reload::restart,
            {},
            "Address for questions about them; default: postmaster at the node's name.",
            [](T to, V v) { to.config.contact = std::move(v.text); }},

    Setting{"listen",
            "http",
            Type::texts,
            R"(["unix:/run/sluice/ingest.sock", "127.0.0.1:8025"])",
            Reload::restart,
            {.check = check_http_listener},
            "HTTP: submission, events, status. Unix sockets, loopback; tls:ip:port for others.",
            [](T to, V v) { to.config.listen.http = std::move(v.texts); }},
    Setting{"listen",
            "smtp",
            Type::texts,
            R"(["127.0.0.1:2587"])",
            Reload::restart,
            {.check = check_smtp_listener},
            "SMTP submission: ip:port, tls:ip:port (TLS from the first octet), unix:/path.",
            [](T to, V v) { to.config.listen.smtp = std::move(v.texts); }},
    Setting{"listen",
            "smtp_trusted",
            Type::texts,
            R"(["127.0.0.0/8", "::1"])",
            Reload::restart,
            {.check = check_trusted_network},
            "Networks whose hosts submit by SMTP without AUTH, for any tenant.",
            [](T to, V v) { to.config.listen.smtp_trusted = std::move(v.texts); }},
    Setting{"listen",
            "metrics",
            Type::text,
            "\"127.0.0.1:9125\"",
            Reload::restart,
            {.check = check_listener},
            "The page for Prometheus; \"\": none.",
            [](T to, V v) { to.config.listen.metrics = std::move(v.text); }},
    Setting{"listen",
            "admin_key_sha256",
            Type::text,
            "",
            Reload::restart,
            {.check = check_sha256, .secret = true},
            "SHA-256, in hex, of the operators' key for HTTP over TCP: the whole API and the "
            "console. The Unix socket asks for none.",
            [](T to, V v) { to.config.listen.admin_key_sha256 = octets_of_hex(v.text); }},

    Setting{"tls",
            "certificate",
            Type::text,
            "\"\"",
            Reload::restart,
            {},
            "PEM file that our listeners show: the host's own certificate, then the chain.",
            [](T to, V v) { to.config.tls.certificate = std::move(v.text); }},
    Setting{"tls",
            "key",
            Type::text,
            "\"\"",
            Reload::restart,
            {},
            "PEM file of its private key, without a passphrase.",
            [](T to, V v) { to.config.tls.key = std::move(v.text); }},

    Setting{"dns",
            "servers",
            Type::texts,
            "[]",
            Reload::restart,
            {.check = check_dns_server},
            "DNS servers, ip or ip:port; default: the system's.",
            [](T to, V v) { to.config.dns_servers = std::move(v.texts); }},

    Setting{"delivery",
            "port",
            Type::integer,
            "25",
            Reload::live,
            {.least = 1, .most = 65535},
            "Where MX hosts listen; tests set another.",
            [](T to, V v) { to.config.delivery.port = static_cast<uint16_t>(v.number); }},
    Setting{"delivery",
            "allow_addresses",
            Type::texts,
            "[]",
            Reload::live,
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
            {.check = check_rules_file},
            "Files of rules that sort replies into bounce classes, in front of the built-in ones "
            "(deploy/bounce_rules.toml).",
            [](T to, V v) {
                // A file that changed since it was checked keeps the built-in rules.
                if (auto rules = load_bounce_rules(v.texts))
                    to.config.delivery.bounce_rules = *rules;
            }},

    Setting{"delivery",
            "provider_files",
            Type::texts,
            "[]",
            Reload::live,
            {.check = check_path},
            "Files of [[provider]] entries; those of this file change theirs key by key.",
            [](T to, V v) { to.config.provider_files = std::move(v.texts); }},

    Setting{"timeouts",
            "connect",
            Type::duration,
            "\"30s\"",
            Reload::live,
            {.least = timeout_least, .most = timeout_most},
            "Until a connection stands.",
            [](T to, V v) { to.config.delivery.timeouts.connect = v.duration; }},
    Setting{"timeouts",
            "banner",
            Type::duration,
            "\"5m\"",
            Reload::live,
            {.least = timeout_least, .most = timeout_most},
            "Until the whole greeting is here.",
            [](T to, V v) { to.config.delivery.timeouts.banner = v.duration; }},
    Setting{"timeouts",
            "command",
            Type::duration,
            "\"5m\"",
            Reload::live,
            {.least = timeout_least, .most = timeout_most},
            "Until the whole reply to EHLO, MAIL, RCPT or RSET is here.",
            [](T to, V v) { to.config.delivery.timeouts.command = v.duration; }},
    Setting{"timeouts",
            "tls",
            Type::duration,
            "\"1m\"",
            Reload::live,
            {.least = timeout_least, .most = timeout_most},
            "Until the reply to STARTTLS is here; then until the handshake is done.",
            [](T to, V v) { to.config.delivery.timeouts.tls = v.duration; }},
    Setting{"timeouts",
            "data",
            Type::duration,
            "\"2m\"",
            Reload::live,
            {.least = timeout_least, .most = timeout_most},
            "Until the whole reply to DATA is here.",
            [](T to, V v) { to.config.delivery.timeouts.data = v.duration; }},
    Setting{"timeouts",
            "body",
            Type::duration,
            "\"3m\"",
            Reload::live,
            {.least = timeout_least, .most = timeout_most},
            "Until the receiver has taken a block of content.",
            [](T to, V v) { to.config.delivery.timeouts.body = v.duration; }},
    Setting{"timeouts",
            "final",
            Type::duration,
            "\"10m\"",
            Reload::live,
            {.least = timeout_least, .most = timeout_most},
            "Until the whole reply to the content is here. A shorter one makes duplicates.",
            [](T to, V v) { to.config.delivery.timeouts.final = v.duration; }},
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

    Setting{"in_doubt",
            "transactional",
            Type::text,
            "\"retry\"",
            Reload::live,
            {.check = check_in_doubt},
            in_doubt_help,
            [](T to, V v) { to.config.delivery.in_doubt[0] = when_in_doubt(v.text); }},
    Setting{"in_doubt",
            "bulk",
            Type::text,
            "\"retry\"",
            Reload::live,
            {.check = check_in_doubt},
            in_doubt_help,
            [](T to, V v) { to.config.delivery.in_doubt[1] = when_in_doubt(v.text); }},

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

    Setting{"provider",
            "name",
            Type::text,
            "",
            Reload::live,
            {.check = check_label, .required = true},
            "Names the group in metrics, events and logs.",
            [](T to, V v) { to.provider->name = std::move(v.text); }},
    Setting{"provider",
            "mx_suffix",
            Type::texts,
            "",
            Reload::live,
            {.check = check_mx_suffix, .required = true},
            "Ends of MX host names; a site belongs to the group when every one of its hosts has "
            "one of them.",
            [](T to, V v) { to.provider->mx_suffix = lower_case(std::move(v.texts)); }},

    Setting{"domain",
            "name",
            Type::text,
            "",
            Reload::live,
            {.check = check_domain_entry, .required = true},
            "The recipient domain; \"*\" with a route: all that have no entry.",
            [](T to, V v) { to.domain->name = lower_case({std::move(v.text)}).front(); }},
    Setting{"domain",
            "route",
            Type::texts,
            "[]",
            Reload::live,
            {.check = check_route_host},
            "Hosts that take this domain's mail instead of its MX, host:port or [ip]:port, in "
            "order of preference; smtps://host:port for TLS from the first octet on.",
            [](T to, V v) { to.domain->route = lower_case(std::move(v.texts)); }},
    Setting{"domain",
            "auth_user",
            Type::text,
            "",
            Reload::live,
            {.check = check_auth_user},
            "Name to log in with on the hosts of the route; tls is then \"verified\" unless set.",
            [](T to, V v) {
                credentials_of(*to.domain).user = std::move(v.text);
                // The keys of an entry come in alphabetical order: its own `tls` comes later.
                to.limits->tls = engine::TlsPolicy::verified;
            }},
    Setting{
        "domain",
        "auth_password_file",
        Type::text,
        "",
        Reload::live,
        {.check = check_secret_file},
        "File whose first line is the password, or the bearer token of XOAUTH2; readable by "
        "this user only.",
        [](T to, V v) { credentials_of(*to.domain).password = engine::Secret(secret_in(v.text)); }},
    Setting{"domain",
            "auth_mechanisms",
            Type::texts,
            "",
            Reload::live,
            {.check = check_auth_mechanism},
            "What may be used of PLAIN, LOGIN, CRAM-MD5, XOAUTH2; default: the first three.",
            [](T to, V v) { credentials_of(*to.domain).mechanisms = mechanisms_of(v.texts); }},

    Setting{"source",
            "name",
            Type::text,
            "",
            Reload::restart,
            {.check = check_label, .required = true},
            "Names the source in events, metrics and pools.",
            [](T to, V v) { to.source->name = std::move(v.text); }},
    Setting{"source",
            "address",
            Type::text,
            "",
            Reload::restart,
            {.check = check_source_address},
            "Address of this host that its connections come from; hosts of the other family are "
            "then out of its reach. Default: the system's choice.",
            [](T to, V v) { to.source->address = engine::SocketAddress::from_ip(v.text, 0); }},
    Setting{"source",
            "ehlo",
            Type::text,
            "",
            Reload::restart,
            {.check = check_host_name},
            "Name that it says in EHLO, which should lead to its address and back; default: that "
            "of [node].",
            [](T to, V v) { to.source->ehlo = std::move(v.text); }},
    Setting{"source",
            "weight",
            Type::integer,
            "",
            Reload::restart,
            {.least = 1, .most = 1000},
            "Its part of the connections of a pool, beside the others' weights; default: 1.",
            [](T to, V v) { to.source->weight = static_cast<double>(v.number); }},

    Setting{"source",
            "warmup_begins",
            Type::text,
            "",
            Reload::restart,
            {.check = check_date},
            "The first day (UTC) of a new source, for warmup.",
            [](T to, V v) { warmup_of(*to.source).began = *parse_date(v.text); }},
    Setting{"source",
            "warmup",
            Type::text,
            "",
            Reload::restart,
            {.check = check_warmup},
            "Messages that it may send to each site on its first day, its second and so on; then "
            "without limit. More goes over other sources of the pool.",
            [](T to, V v) { warmup_of(*to.source).messages = parse_numbers(v.text); }},

    Setting{"automation",
            "name",
            Type::text,
            "",
            Reload::restart,
            {.check = check_label, .required = true},
            "Names the rule in logs and deferrals.",
            [](T to, V v) { to.automation->name = std::move(v.text); }},
    Setting{"automation",
            "provider",
            Type::text,
            "",
            Reload::restart,
            {.check = check_label},
            "Only replies of this [[provider]]'s hosts; \"default\": of those that none names.",
            [](T to, V v) { to.automation->provider = std::move(v.text); }},
    Setting{"automation",
            "class",
            Type::text,
            "",
            Reload::restart,
            {.check = check_bounce_class},
            "Only replies of this bounce class, such as spam_block or throttled.",
            [](T to, V v) { to.automation->klass = engine::parse_bounce_class(v.text); }},
    Setting{"automation",
            "match",
            Type::text,
            "",
            Reload::restart,
            {.check = check_match},
            "Only replies in which this expression (RE2) is found, by any case.",
            [](T to, V v) { to.automation->match = engine::make_match(v.text, nullptr); }},
    Setting{"automation",
            "count",
            Type::integer,
            "",
            Reload::restart,
            {.least = 1, .most = 10'000},
            "So many of them at one site from one source; default: 1.",
            [](T to, V v) { to.automation->count = static_cast<uint32_t>(v.number); }},
    Setting{"automation",
            "within",
            Type::duration,
            "",
            Reload::restart,
            {.least = second_ms, .most = day_ms},
            "Within this time; default: 10m.",
            [](T to, V v) { to.automation->within = v.duration; }},
    Setting{"automation",
            "action",
            Type::text,
            "",
            Reload::restart,
            {.check = check_action, .required = true},
            "What follows there: rest_source (the source leaves the site alone), suspend (all "
            "sources do), slow (half the rate).",
            [](T to, V v) { to.automation->action = *engine::parse_automation_action(v.text); }},
    Setting{"automation",
            "duration",
            Type::duration,
            "",
            Reload::restart,
            {.least = second_ms, .most = 30 * day_ms},
            "For how long; default: 1h.",
            [](T to, V v) { to.automation->duration = v.duration; }},

    Setting{"pool",
            "name",
            Type::text,
            "",
            Reload::restart,
            {.check = check_label, .required = true},
            "What jobs choose it by; those that name none have \"default\".",
            [](T to, V v) { to.pool->name = std::move(v.text); }},
    Setting{"pool",
            "sources",
            Type::texts,
            "",
            Reload::restart,
            {.check = check_label, .required = true},
            "Names of the [[source]]s that its mail leaves from.",
            [](T to, V v) { to.pool->sources = std::move(v.texts); }},

    Setting{"dkim",
            "domain",
            Type::text,
            "",
            Reload::live,
            {.check = check_host_name, .required = true},
            "In whose name mail is signed (d=): the domain of From.",
            [](T to, V v) { to.dkim->domain = lower_case({std::move(v.text)}).front(); }},
    Setting{"dkim",
            "selector",
            Type::text,
            "",
            Reload::live,
            {.check = check_selector, .required = true},
            "Under which name the key's DNS record stands: <selector>._domainkey.<domain>.",
            [](T to, V v) { to.dkim->selector = lower_case({std::move(v.text)}).front(); }},
    Setting{"dkim",
            "key",
            Type::text,
            "",
            Reload::live,
            {.check = check_path, .required = true},
            "The private key's file: PEM, RSA or Ed25519.",
            [](T to, V v) { to.dkim->key = std::move(v.text); }},
    Setting{"dkim",
            "signs",
            Type::text,
            "",
            Reload::live,
            {.check = check_signs},
            "Which mail: \"domain\", that From this very domain; \"subdomains\", also that from "
            "those below it without an entry of their own; \"all\".",
            [](T to, V v) {
                using enum engine::DkimEntry::Signs;
                to.dkim->signs = v.text == "all" ? all : v.text == "domain" ? own : subdomains;
            }},
    Setting{"dkim",
            "tenant",
            Type::text,
            "",
            Reload::live,
            {.check = check_tenant},
            "Only this tenant's mail; without it everybody's.",
            [](T to, V v) { to.dkim->tenant = std::move(v.text); }},

    Setting{"tenant",
            "name",
            Type::text,
            "",
            Reload::restart,
            {.check = check_tenant, .required = true},
            "Names the tenant in jobs, events and the ledger.",
            [](T to, V v) { to.tenant->name = std::move(v.text); }},
    Setting{"tenant",
            "api_key_sha256",
            Type::text,
            "",
            Reload::restart,
            {.check = check_sha256, .secret = true},
            "SHA-256, in hex, of the key that it sends as \"Authorization: Bearer\"; `sluice "
            "password --api-key` makes both.",
            [](T to, V v) { to.tenant->api_key_sha256 = octets_of_hex(v.text); }},

    Setting{"tenant",
            "weight",
            Type::integer,
            "",
            Reload::restart,
            {.least = 1, .most = 1000},
            "Its share, beside the other tenants' weights, of a receiver that several want; "
            "default: 1.",
            [](T to, V v) { to.tenant->delivery.weight = static_cast<double>(v.number); }},

    Setting{"credential",
            "user",
            Type::text,
            "",
            Reload::restart,
            {.check = check_user_name, .required = true},
            "User name for AUTH.",
            [](T to, V v) { to.credential->user = std::move(v.text); }},
    Setting{"credential",
            "password_hash",
            Type::text,
            "",
            Reload::restart,
            {.check = wrong_password_hash, .required = true, .secret = true},
            "Hash of the password, by `sluice password` or of crypt(3): yescrypt, bcrypt, SHA-512.",
            [](T to, V v) { to.credential->password_hash = std::move(v.text); }},
    Setting{"credential",
            "tenant",
            Type::text,
            "",
            Reload::restart,
            {.check = check_tenant, .required = true},
            "The [[tenant]] that it submits for.",
            [](T to, V v) { to.credential->tenant = std::move(v.text); }},
};
}  // namespace

std::span<const Setting> settings() {
    // The limits stand behind the first keys of each section that has them.
    static const std::vector<Setting> all = [] {
        std::vector<Setting> made;
        const auto add_limits = [&](std::string_view section) {
            for (Setting limit : limit_settings) {
                limit.section = section;
                if (is_repeated(section)) limit.fallback = "";
                made.push_back(limit);
            }
            if (!is_repeated(section)) return;
            made.push_back(idle_setting);
            made.back().section = section;
        };
        for (const Setting& setting : table) {
            made.push_back(setting);
            const auto is = [&](std::string_view section, std::string_view key) {
                return setting.section == section && setting.key == key;
            };
            if (is("delivery", "allow_addresses") || is("provider", "mx_suffix") ||
                is("domain", "route"))
                add_limits(setting.section);
        }
        return made;
    }();
    return all;
}

bool is_repeated(std::string_view section) {
    constexpr std::array sections{"provider", "domain", "source",     "pool",
                                  "dkim",     "tenant", "credential", "automation"};
    return std::ranges::find(sections, section) != sections.end();
}

std::string_view naming_key(std::string_view section) {
    if (section == "dkim") return "selector";
    return section == "credential" ? "user" : "name";
}

std::string_view to_string(Setting::Type type) {
    switch (type) {
        case Type::text:
            return "a text in quotes";
        case Type::texts:
            return "a list of texts";
        case Type::integer:
            return "a whole number";
        case Type::flag:
            return "true or false";
        case Type::duration:
            return "a duration in quotes, such as \"30s\" or \"2h\"";
        case Type::durations:
            return "a list of durations, such as [\"1m\", \"1h\"]";
        case Type::size:
            return "a size in quotes, such as \"64KiB\" or \"1GiB\"";
        case Type::rate:
            return "a rate in quotes, such as \"100/s\" or \"5000/h\"";
    }
    return "a value";
}

}  // namespace ingest

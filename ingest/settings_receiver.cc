#include "ingest/setting_tables.h"

#include <algorithm>
#include <array>

#include "ingest/setting_check.h"

namespace ingest::tables {

namespace {
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

const std::array table = {
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
        {.check = check_secret_file, .file = true},
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
};
}  // namespace

std::span<const Setting> receiver() {
    return table;
}

}  // namespace ingest::tables

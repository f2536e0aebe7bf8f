#include "ingest/setting_tables.h"

#include <array>

#include "ingest/password_hash.h"
#include "ingest/setting_check.h"

namespace ingest::tables {

namespace {
const std::array table = {
    Setting{"tenant",
            "name",
            Type::text,
            "",
            Reload::live,
            {.check = check_tenant, .required = true},
            "Names the tenant in jobs, events and the ledger.",
            [](T to, V v) { to.tenant->name = std::move(v.text); }},
    Setting{"tenant",
            "api_key_sha256",
            Type::text,
            "",
            Reload::live,
            {.check = check_sha256, .secret = true},
            "SHA-256, in hex, of the key that it sends as \"Authorization: Bearer\"; `sluice "
            "password --api-key` makes both.",
            [](T to, V v) { to.tenant->api_key_sha256 = octets_of_hex(v.text); }},
    Setting{"tenant",
            "weight",
            Type::integer,
            "",
            Reload::live,
            {.least = 1, .most = 1000},
            "Its share, beside the other tenants' weights, of a receiver that several want; "
            "default: 1.",
            [](T to, V v) { to.tenant->delivery.weight = static_cast<double>(v.number); }},
    Setting{"tenant",
            "suppressed_bounces",
            Type::texts,
            "",
            Reload::live,
            {.check = check_bounce_class},
            "In the place of suppression.bounces for this tenant; []: none.",
            [](T to, V v) { to.tenant->delivery.suppressed_bounces = bounce_bits(v.texts); }},
    Setting{"credential",
            "user",
            Type::text,
            "",
            Reload::live,
            {.check = check_user_name, .required = true},
            "User name for AUTH.",
            [](T to, V v) { to.credential->user = std::move(v.text); }},
    Setting{"credential",
            "password_hash",
            Type::text,
            "",
            Reload::live,
            {.check = wrong_password_hash, .required = true, .secret = true},
            "Hash of the password, by `sluice password` or of crypt(3): yescrypt, bcrypt, SHA-512.",
            [](T to, V v) { to.credential->password_hash = std::move(v.text); }},
    Setting{"credential",
            "tenant",
            Type::text,
            "",
            Reload::live,
            {.check = check_tenant, .required = true},
            "The [[tenant]] that it submits for.",
            [](T to, V v) { to.credential->tenant = std::move(v.text); }},
};
}  // namespace

std::span<const Setting> tenant() {
    return table;
}

}  // namespace ingest::tables

#include "ingest/api_keys.h"

#include <openssl/crypto.h>

#include "ingest/digest.h"

namespace ingest {

ApiKeys::ApiKeys(const std::vector<Tenant>& tenants, std::string admin_sha256)
    : admin_sha256_(std::move(admin_sha256)) {
    for (const Tenant& tenant : tenants) {
        if (!tenant.api_key_sha256.empty()) keys_.push_back(tenant);
    }
}

bool ApiKeys::is_admin(std::string_view key) const {
    const std::string digest = plain_sha256(key);
    return !admin_sha256_.empty() &&
           CRYPTO_memcmp(digest.data(), admin_sha256_.data(), digest.size()) == 0;
}

std::optional<std::string> ApiKeys::tenant_of(std::string_view key) const {
    const std::string digest = plain_sha256(key);
    const Tenant* found = nullptr;
    for (const Tenant& tenant : keys_) {
        if (CRYPTO_memcmp(digest.data(), tenant.api_key_sha256.data(), digest.size()) == 0)
            found = &tenant;
    }
    if (!found) return std::nullopt;
    return found->name;
}

}  // namespace ingest

// Who may submit: tenants, and by what they are known.
#pragma once

#include <string>

#include "engine/delivery/settings.h"

namespace ingest {

/// [[tenant]]
struct Tenant {
    std::string name;
    std::string api_key_sha256;  // 32 octets; empty: it has no key
    engine::TenantSettings delivery;
};

/// [[credential]]: a user of a tenant, for AUTH. Several for one tenant are how a password is
/// changed without a gap.
struct Credential {
    std::string user, password_hash, tenant;
};

}  // namespace ingest

// ApiKeys: which tenant a key of the HTTP API belongs to, or whether it is the operators'.
// Immutable; one for the whole daemon.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/tenants.h"

namespace ingest {

class ApiKeys {
  public:
    /// `admin_sha256`: 32 octets; empty: operators have no key.
    explicit ApiKeys(const std::vector<Tenant>& tenants, std::string admin_sha256 = {});

    /// There are no keys: nobody is asked for one.
    bool empty() const { return keys_.empty() && admin_sha256_.empty(); }
    bool is_admin(std::string_view key) const;
    /// In a time that does not tell how near a guess was.
    std::optional<std::string> tenant_of(std::string_view key) const;

  private:
    std::vector<Tenant> keys_;
    std::string admin_sha256_;
};

}  // namespace ingest

// ApiKeys: which tenant a key of the HTTP API belongs to. Immutable; one for the whole daemon.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/tenants.h"

namespace ingest {

class ApiKeys {
  public:
    explicit ApiKeys(const std::vector<Tenant>& tenants);

    /// No tenant has a key: nobody is asked for one.
    bool empty() const { return keys_.empty(); }
    /// In a time that does not tell how near a guess was.
    std::optional<std::string> tenant_of(std::string_view key) const;

  private:
    std::vector<Tenant> keys_;
};

}  // namespace ingest

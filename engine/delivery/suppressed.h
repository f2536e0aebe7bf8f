// Suppression lists as the engine asks them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/store.h"

namespace engine {

/// What events say of mail that a list has ended.
inline constexpr const char* suppressed_words = "suppressed: the address is on a suppression list";

/// An address as lists compare it: the local part in small letters, whatever its owner thinks of
/// case, and the routing domain.
std::string suppressed_form(std::string_view address, std::string_view routing_domain);

/// unreadable: it would stand in a damaged block.
enum class Listed : uint8_t { no, yes, unreadable };

/// Whether these are on the tenant's list or on everybody's. Reads the store, so it blocks. Errors:
/// any but damage.
storage::Result<std::vector<Listed>> look_up(storage::Store& store, std::string_view tenant,
                                             const std::vector<std::string>& addresses);

}  // namespace engine

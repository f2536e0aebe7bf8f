// Whoever mends or restores a queue is often root, and the daemon is not.
#pragma once

#include <filesystem>

namespace storage {

/// When root: a new directory gets the owner of the one it was made in. Otherwise nothing.
void give_to_owner_of_parent(const std::filesystem::path& fresh);
/// When root: what lies below `directory` gets its owner. Otherwise nothing.
void give_to_owner_of(const std::filesystem::path& directory);

}  // namespace storage

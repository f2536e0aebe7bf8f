// Passwords at rest: crypt(3) of libcrypt, which reads what other mail servers have in their files,
// too; new ones are yescrypt. Slow on purpose (some 10 ms and 16 MiB): call it on a worker.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace ingest {

inline constexpr size_t password_octets_max = 255;

/// "$y$j9T$salt$hash". Errors: a sentence for people; too long, empty, or holding NUL.
std::expected<std::string, std::string> hash_password(std::string_view password);
/// In a time that does not depend on where the two differ. A hash of no known form fits nothing.
bool password_fits(std::string_view password, const std::string& hash);
/// What is wrong with the text of a hash; nullopt: it can be used.
std::optional<std::string> wrong_password_hash(const std::string& hash);

/// 160 random bits in letters and digits that nobody mistakes for each other.
std::string make_secret();

}  // namespace ingest

// Digests by which two requests are told apart.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace ingest {

/// SHA-256 over the parts and their lengths: no two lists of parts read the same. 32 octets.
std::string sha256(std::initializer_list<std::string_view> parts);

/// SHA-256 of the octets alone, as other programs make it.
std::string plain_sha256(std::string_view octets);

}  // namespace ingest

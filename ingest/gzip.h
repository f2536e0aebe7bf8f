// gzip (RFC 1952) of a text in memory.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace ingest {

/// As small as it gets. The error is zlib's, for people.
std::expected<std::string, std::string> gzipped(std::string_view text);

}  // namespace ingest

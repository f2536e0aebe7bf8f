#include "engine/dns/site.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <set>

#include "engine/dns/resolver.h"
#include "metrics/check.h"

namespace engine {

namespace {

constexpr size_t site_octets_max = 200;  // fits a log line and a key in the store
constexpr size_t digest_octets =
    8;  // kept of SHA-256: strangers choose the names, so no weaker hash

std::string digest_of(std::string_view text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    CHECK(EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) == 1,
          "SHA-256 is not available");
    std::string hex;
    for (size_t i = 0; i < digest_octets; ++i) hex += fmt::format("{:02x}", digest[i]);
    return hex;
}

}  // namespace

std::string site_name(std::span<const MxHost> hosts, uint16_t usual_port) {
    std::set<std::string> names;
    for (const MxHost& host : hosts) {
        names.insert(host.port == usual_port ? host.name
                                             : fmt::format("{}:{}", host.name, host.port));
    }
    const std::string whole = fmt::format("{}", fmt::join(names, "+"));
    if (whole.size() <= site_octets_max) return whole;
    return fmt::format("{}+{}", whole.substr(0, site_octets_max - 2 * digest_octets - 1),
                       digest_of(whole));
}

}  // namespace engine

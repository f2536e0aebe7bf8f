#include "ingest/digest.h"

#include <openssl/evp.h>

#include <cstdint>

namespace ingest {

std::string sha256(std::initializer_list<std::string_view> parts) {
    std::string digest(32, '\0');
    EVP_MD_CTX* hash = EVP_MD_CTX_new();
    EVP_DigestInit_ex(hash, EVP_sha256(), nullptr);
    for (const std::string_view part : parts) {
        const uint64_t bytes = part.size();  // so that no two lists of parts read the same
        EVP_DigestUpdate(hash, &bytes, sizeof bytes);
        EVP_DigestUpdate(hash, part.data(), part.size());
    }
    EVP_DigestFinal_ex(hash, reinterpret_cast<unsigned char*>(digest.data()), nullptr);
    EVP_MD_CTX_free(hash);
    return digest;
}

std::string plain_sha256(std::string_view octets) {
    std::string digest(32, '\0');
    EVP_Digest(octets.data(), octets.size(), reinterpret_cast<unsigned char*>(digest.data()),
               nullptr, EVP_sha256(), nullptr);
    return digest;
}

}  // namespace ingest

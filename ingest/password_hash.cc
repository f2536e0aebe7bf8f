#include "ingest/password_hash.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <array>
#include <memory>

#include "metrics/check.h"

namespace ingest {

namespace {

/// 32 KiB of libcrypt's scratch, which holds the password: wiped.
class Scratch {
  public:
    Scratch() : data_(std::make_unique<crypt_data>()) {}
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { OPENSSL_cleanse(data_.get(), sizeof *data_); }

    /// Empty when the setting is none, or the password has no hash.
    std::string hash(std::string_view password, const std::string& setting) {
        std::string ended(password);  // crypt wants a NUL behind it
        const char* result = crypt_rn(ended.c_str(), setting.c_str(), data_.get(), sizeof *data_);
        OPENSSL_cleanse(ended.data(), ended.size());
        return result == nullptr ? std::string() : std::string(result);
    }

  private:
    std::unique_ptr<crypt_data> data_;
};

std::optional<std::string> wrong_password(std::string_view password) {
    if (password.empty()) return "the password is empty";
    if (password.size() > password_octets_max) return "a password may have 255 octets";
    if (password.contains('\0')) return "the password holds a NUL";
    return std::nullopt;
}

}  // namespace

std::expected<std::string, std::string> hash_password(std::string_view password) {
    if (auto wrong = wrong_password(password)) return std::unexpected(std::move(*wrong));
    std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> setting{};
    if (crypt_gensalt_rn("$y$", 0, nullptr, 0, setting.data(), setting.size()) == nullptr) {
        return std::unexpected("libcrypt has no yescrypt on this host");
    }
    std::string hash = Scratch().hash(password, setting.data());
    if (hash.empty()) return std::unexpected("libcrypt could not hash the password");
    return hash;
}

bool password_fits(std::string_view password, const std::string& hash) {
    if (wrong_password(password)) return false;
    const std::string found = Scratch().hash(password, hash);
    return found.size() == hash.size() && !hash.empty() &&
           CRYPTO_memcmp(found.data(), hash.data(), hash.size()) == 0;
}

std::optional<std::string> wrong_password_hash(const std::string& hash) {
    if (hash.starts_with('$') && crypt_checksalt(hash.c_str()) == CRYPT_SALT_OK &&
        hash.rfind('$') > 2) {
        return std::nullopt;
    }
    return "is no hash of a password, or of a kind that is too weak; `sluice password` makes one";
}

std::string make_secret() {
    // 32 of them, so that each takes five bits of an octet evenly.
    constexpr std::string_view letters = "abcdefghjkmnpqrstuvwxyz023456789";
    static_assert(letters.size() == 32);
    std::array<unsigned char, 32> random{};
    CHECK(RAND_bytes(random.data(), random.size()) == 1, "the system gives no random octets");
    std::string secret;
    for (const unsigned char octet : random) secret += letters[octet % letters.size()];
    return secret;
}

}  // namespace ingest

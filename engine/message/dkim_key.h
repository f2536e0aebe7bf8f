// DkimKey: a private key that signs mail, RSA or Ed25519, and the DNS record that its verifiers
// need.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "engine/message/sha256.h"

namespace engine {

class DkimKey {
  public:
    enum class Kind : uint8_t { rsa, ed25519 };
    static constexpr unsigned rsa_bits_min = 1024;      // RFC 8301 3.2: verifiers refuse shorter
    static constexpr unsigned rsa_bits_advised = 2048;  // likewise, for signers
    static constexpr unsigned rsa_bits_max = 8192;      // a signature would take 20 ms
    static constexpr size_t pem_bytes_max = 64u << 10;

    /// Asks OpenSSL for memory that is never swapped and never in a core dump, for what it keeps of
    /// private keys. Once, before the first key is read. False: the system refused the lock
    /// (RLIMIT_MEMLOCK); keys are then in ordinary memory.
    static bool protect_memory();

    /// PEM, PKCS#8 or the older RSA form, not encrypted. The error is a sentence that quotes
    /// nothing of the key.
    static std::expected<DkimKey, std::string> from_pem(std::string_view pem);
    /// Reads the file through memory that is wiped. The error says what is wrong with it.
    static std::expected<DkimKey, std::string> from_file(const std::string& path);

    DkimKey(DkimKey&&) noexcept;
    DkimKey& operator=(DkimKey&&) noexcept;
    ~DkimKey();

    Kind kind() const;
    std::string_view algorithm() const;  // of a=
    unsigned bits() const;               // of an RSA modulus; 256 for Ed25519
    std::string public_key() const;      // of p= in the DNS record, base64
    /// "v=DKIM1; k=rsa; p=…", the text at <selector>._domainkey.<domain>.
    std::string dns_record() const;

    /// Of the hash of a signed header (RFC 6376 3.3, RFC 8463 3); octets. Any thread, several at a
    /// time.
    std::string sign(const Sha256& hash) const;

  private:
    struct State;
    explicit DkimKey(std::unique_ptr<const State> state);
    std::unique_ptr<const State> state_;
};

}  // namespace engine

#include "engine/message/dkim_key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/message/encode.h"
#include "metrics/check.h"

namespace engine {
namespace {

// A key of 4,096 bits takes about 4 KiB of it.
constexpr size_t protected_bytes = 4u << 20;
constexpr int protected_block_least = 64;

template <auto free_it>
struct Free {
    template <class T>
    void operator()(T* object) const {
        free_it(object);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using HashContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;

/// Octets that are wiped when they are done with, and in protected memory where there is any.
class Secret {
  public:
    explicit Secret(size_t size) : size_(size), octets_(OPENSSL_secure_zalloc(size)) {
        CHECK(octets_ != nullptr, "no memory for a key's file");
    }
    ~Secret() { OPENSSL_secure_clear_free(octets_, size_); }
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    char* data() { return static_cast<char*>(octets_); }

  private:
    size_t size_;
    void* octets_;
};

/// No key of ours asks for a password: a daemon has nobody to ask.
int no_password(char*, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
}

std::string system_error(std::string_view what) {
    return fmt::format("{}: {}", what, std::strerror(errno));
}

}  // namespace

struct DkimKey::State {
    Key key;
    KeyContext rsa;  // set up once, copied for each signature; null for Ed25519
    Kind kind{};
    unsigned bits = 0;
};

bool DkimKey::protect_memory() {
    if (CRYPTO_secure_malloc_initialized() == 1) return true;
    return CRYPTO_secure_malloc_init(protected_bytes, protected_block_least) == 1;
}

DkimKey::DkimKey(std::unique_ptr<const State> state) : state_(std::move(state)) {}
DkimKey::DkimKey(DkimKey&&) noexcept = default;
DkimKey& DkimKey::operator=(DkimKey&&) noexcept = default;
DkimKey::~DkimKey() = default;

std::expected<DkimKey, std::string> DkimKey::from_pem(std::string_view pem) {
    const auto wrong = [](std::string text) { return std::unexpected(std::move(text)); };
    if (pem.size() > pem_bytes_max) return wrong("is too large for a key");
    const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    bool encrypted = false;
    auto state = std::make_unique<State>();
    state->key.reset(PEM_read_bio_PrivateKey(in.get(), nullptr, no_password, &encrypted));
    if (encrypted) return wrong("is encrypted; write it without a password (openssl pkey -in …)");
    if (!state->key) {
        if (pem.contains("BEGIN PUBLIC KEY")) return wrong("is a public key; give the private one");
        return wrong("holds no private key in PEM form (\"-----BEGIN PRIVATE KEY-----\")");
    }
    EVP_PKEY* key = state->key.get();
    state->bits = static_cast<unsigned>(EVP_PKEY_get_bits(key));
    if (EVP_PKEY_is_a(key, "ED25519") == 1) {
        state->kind = Kind::ed25519;
        return DkimKey(std::move(state));
    }
    if (EVP_PKEY_is_a(key, "RSA") != 1)
        return wrong(fmt::format("is a key of type {}; DKIM has RSA and Ed25519",
                                 EVP_PKEY_get0_type_name(key)));
    if (state->bits < rsa_bits_min)
        return wrong(
            fmt::format("is RSA of {} bits, which receivers refuse; make one of {} "
                        "(openssl genrsa {})",
                        state->bits, rsa_bits_advised, rsa_bits_advised));
    if (state->bits > rsa_bits_max)
        return wrong(fmt::format("is RSA of {} bits; at most {}, and few receivers take over 2048",
                                 state->bits, rsa_bits_max));
    state->kind = Kind::rsa;
    state->rsa.reset(EVP_PKEY_CTX_new(key, nullptr));
    const KeyContext check(EVP_PKEY_CTX_new(key, nullptr));
    if (EVP_PKEY_pairwise_check(check.get()) != 1) return wrong("is damaged: its parts do not fit");
    CHECK(EVP_PKEY_sign_init(state->rsa.get()) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(state->rsa.get(), RSA_PKCS1_PADDING) == 1 &&
              EVP_PKEY_CTX_set_signature_md(state->rsa.get(), EVP_sha256()) == 1,
          "OpenSSL cannot sign with RSA");
    return DkimKey(std::move(state));
}

std::expected<DkimKey, std::string> DkimKey::from_file(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return std::unexpected(system_error("cannot be read"));
    struct stat info{};
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return std::unexpected("is no regular file");
    }
    Secret text(pem_bytes_max + 1);
    size_t size = 0;
    ssize_t got = 0;
    do {
        got = read(fd, text.data() + size, pem_bytes_max + 1 - size);
        if (got > 0) size += static_cast<size_t>(got);
    } while (got > 0 && size <= pem_bytes_max);
    const bool failed = got < 0;
    if (failed) {
        auto why = system_error("cannot be read");
        close(fd);
        return std::unexpected(std::move(why));
    }
    close(fd);
    return from_pem({text.data(), size});
}

DkimKey::Kind DkimKey::kind() const {
    return state_->kind;
}

std::string_view DkimKey::algorithm() const {
    return state_->kind == Kind::rsa ? "rsa-sha256" : "ed25519-sha256";
}

unsigned DkimKey::bits() const {
    return state_->bits;
}

std::string DkimKey::public_key() const {
    EVP_PKEY* key = state_->key.get();
    if (state_->kind == Kind::ed25519) {  // RFC 8463 4: the bare key
        std::string octets(32, '\0');
        size_t size = octets.size();
        CHECK(EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(octets.data()),
                                          &size) == 1,
              "a key without its public half");
        return base64(octets);
    }
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key, &der);
    CHECK(size > 0, "a key without its public half");
    std::string octets(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    return base64(octets);
}

std::string DkimKey::dns_record() const {
    return fmt::format("v=DKIM1; k={}; p={}", state_->kind == Kind::rsa ? "rsa" : "ed25519",
                       public_key());
}

std::string DkimKey::sign(const Sha256& hash) const {
    std::string signature(static_cast<size_t>(EVP_PKEY_get_size(state_->key.get())), '\0');
    auto* out = reinterpret_cast<unsigned char*>(signature.data());
    size_t size = signature.size();
    bool signed_ = false;
    if (state_->kind == Kind::rsa) {
        const KeyContext context(EVP_PKEY_CTX_dup(state_->rsa.get()));
        signed_ =
            context && EVP_PKEY_sign(context.get(), out, &size, hash.data(), hash.size()) == 1;
    } else {
        const HashContext context(EVP_MD_CTX_new());
        signed_ =
            context &&
            EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, state_->key.get()) == 1 &&
            EVP_DigestSign(context.get(), out, &size, hash.data(), hash.size()) == 1;
    }
    CHECK(signed_, "OpenSSL could not sign with a key that it had checked");
    signature.resize(size);
    return signature;
}

}  // namespace engine

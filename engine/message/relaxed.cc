#include "engine/message/relaxed.h"

#include <openssl/evp.h>

#include <algorithm>

#include "metrics/check.h"

namespace engine {
namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/// Fetched once: a look-up by name on every message costs as much as hashing its header.
const EVP_MD* sha256_algorithm() {
    static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    CHECK(algorithm != nullptr, "OpenSSL has no SHA-256");
    return algorithm;
}

class Hasher {
  public:
    Hasher() : context_(EVP_MD_CTX_new()) {
        CHECK(context_ != nullptr && EVP_DigestInit_ex(context_, sha256_algorithm(), nullptr) == 1,
              "OpenSSL cannot hash");
    }
    ~Hasher() { EVP_MD_CTX_free(context_); }
    Hasher(const Hasher&) = delete;
    Hasher& operator=(const Hasher&) = delete;

    void add(std::string_view octets) { EVP_DigestUpdate(context_, octets.data(), octets.size()); }
    Sha256 end() {
        Sha256 hash;
        CHECK(EVP_DigestFinal_ex(context_, hash.data(), nullptr) == 1, "OpenSSL cannot hash");
        return hash;
    }

  private:
    EVP_MD_CTX* context_;
};

/// Where the body's last octet that counts ends: blanks and line ends behind it do not.
size_t end_of_text(std::string_view body) {
    const size_t last = body.find_last_not_of(" \t\r\n");
    return last == std::string_view::npos ? 0 : last + 1;
}

/// Relaxing would leave every octet as it is: no tab, and no blank before another or before a line
/// end. `text` is followed by at least one more octet. Written without branches, so that the
/// compiler makes vector code of it: nearly all blocks of nearly all mails pass here.
bool is_relaxed(const char* text, size_t size) {
    unsigned char dirty = 0;
    for (size_t i = 0; i < size; ++i) {
        const char c = text[i], next = text[i + 1];
        const auto tab = static_cast<unsigned char>(c == '\t');
        const auto blank = static_cast<unsigned char>(c == ' ');
        const auto end = static_cast<unsigned char>(next == '\r');
        const auto more = static_cast<unsigned char>(next == ' ');
        dirty |= tab | (blank & (end | more));  // a blank before a tab: the tab is seen itself
    }
    return dirty == 0;
}

}  // namespace

Sha256 sha256(std::string_view octets) {
    Sha256 hash;
    CHECK(EVP_Digest(octets.data(), octets.size(), hash.data(), nullptr, sha256_algorithm(),
                     nullptr) == 1,
          "OpenSSL cannot hash");
    return hash;
}

void relax_body(std::string_view body, const std::function<void(std::string_view)>& take) {
    constexpr size_t block_max = 4096;
    const size_t end = end_of_text(body);
    if (end == 0) return;
    std::array<char, block_max + 1> relaxed;
    bool owed = false;  // a blank that counts only when text follows on its line
    for (size_t at = 0; at < end;) {
        const size_t size = std::min(block_max, end - at);
        const char* block = body.data() + at;
        const bool last = at + size == body.size();  // nothing follows, so nothing may be looked at
        at += size;
        if (!owed && !last && is_relaxed(block, size)) {
            take({block, size});
            continue;
        }
        size_t out = 0;
        for (size_t i = 0; i < size; ++i) {
            const char c = block[i];
            if (is_blank(c)) {
                owed = true;
                continue;
            }
            if (owed && c != '\r') relaxed[out++] = ' ';
            owed = false;
            relaxed[out++] = c;
        }
        take({relaxed.data(), out});
    }
    take("\r\n");
}

Sha256 relaxed_body_hash(std::string_view body) {
    Hasher hasher;
    relax_body(body, [&](std::string_view piece) { hasher.add(piece); });
    return hasher.end();
}

void append_relaxed_field(std::string& out, std::string_view field) {
    const size_t colon = std::min(field.find(':'), field.size());
    std::string_view name = field.substr(0, colon);
    name = name.substr(0, name.find_last_not_of(" \t") + 1);
    for (const char c : name) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    out += ':';
    bool begun = false, owed = false;
    for (const char c : field.substr(std::min(colon + 1, field.size()))) {
        if (c == '\r' || c == '\n') continue;
        if (is_blank(c)) {
            owed = begun;
            continue;
        }
        if (owed) out += ' ';
        out += c;
        owed = false;
        begun = true;
    }
    out += "\r\n";
}

}  // namespace engine

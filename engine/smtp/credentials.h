// Credentials: what we log in with at a relay. A type without a way to be printed, so that no log,
// event or error can hold a password by accident.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace engine {

/// A secret text, wiped when it goes.
class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string text) : text_(std::move(text)) {}
    Secret(Secret&& other) noexcept { text_.swap(other.text_); }
    Secret& operator=(Secret&& other) noexcept {
        text_.swap(other.text_);
        return *this;
    }
    ~Secret() { wipe(text_); }
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;

    std::string_view reveal() const { return text_; }
    static void wipe(std::string& text);

  private:
    std::string text_;
};

/// In the order of preference: what never shows the password goes before what does, and a token
/// before both, because who sets one has nothing else.
enum class AuthMechanism : uint8_t { xoauth2 = 1, cram_md5 = 2, plain = 4, login = 8 };
std::string_view to_string(AuthMechanism mechanism);  // "CRAM-MD5"
inline constexpr AuthMechanism auth_mechanisms[] = {AuthMechanism::xoauth2, AuthMechanism::cram_md5,
                                                    AuthMechanism::plain, AuthMechanism::login};

struct Credentials {
    std::string user;
    Secret password;         // for XOAUTH2: the bearer token
    uint8_t mechanisms = 0;  // of AuthMechanism, that may be used
};

}  // namespace engine

// `sluice password`: what goes into [[credential]] and [[tenant]], and never the secret itself.
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>

#include "ingest/commands.h"
#include "ingest/digest.h"
#include "ingest/json_out.h"
#include "ingest/password_hash.h"

namespace ingest {

namespace {

/// No echo while it lives; nothing happens where standard input is no terminal.
class Silence {
  public:
    Silence() : silent_(tcgetattr(STDIN_FILENO, &before_) == 0) {
        if (!silent_) return;
        termios quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    Silence(const Silence&) = delete;
    Silence& operator=(const Silence&) = delete;
    ~Silence() {
        if (silent_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    }

  private:
    termios before_{};
    bool silent_;
};

std::string read_password() {
    const bool asks = isatty(STDIN_FILENO) == 1;
    std::string password;
    if (asks) fmt::print(stderr, "Password: ");
    {
        const Silence silence;
        std::getline(std::cin, password);
    }
    if (asks) fmt::print(stderr, "\n");
    if (password.ends_with('\r')) password.pop_back();
    return password;
}

std::string hex(std::string_view octets) {
    std::string text;
    for (const unsigned char octet : octets) text += fmt::format("{:02x}", octet);
    return text;
}

/// `secret` is shown when it was made here; the other is a line of the configuration.
void show(const PasswordOptions& options, std::string_view name, std::string_view secret,
          std::string_view setting, std::string_view value) {
    if (options.output == Output::json) {
        std::string out;
        JsonObject object(out);
        object.text_if(name, secret).text(setting, value).close();
        fmt::print("{}\n", out);
        return;
    }
    if (!secret.empty()) fmt::print("# {}: {}\n", name, secret);
    fmt::print("{} = \"{}\"\n", setting, value);
}

}  // namespace

int password(const PasswordOptions& options) {
    if (options.what == PasswordOptions::What::api_key) {
        const std::string key = make_secret();
        show(options, "api_key", key, "api_key_sha256", hex(plain_sha256(key)));
        return 0;
    }
    const bool made = options.what == PasswordOptions::What::new_password;
    std::string secret = made ? make_secret() : read_password();
    const auto hash = hash_password(secret);
    if (hash) {
        show(options, "password", made ? std::string_view(secret) : "", "password_hash", *hash);
    } else {
        fmt::print(stderr, "sluice: {}\n", hash.error());
    }
    OPENSSL_cleanse(secret.data(), secret.size());
    return hash ? 0 : 1;
}

}  // namespace ingest

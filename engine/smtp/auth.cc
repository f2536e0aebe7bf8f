#include "engine/smtp/auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <optional>

namespace engine {

void Secret::wipe(std::string& text) {
    if (!text.empty()) OPENSSL_cleanse(text.data(), text.size());
    text.clear();
}

std::string_view to_string(AuthMechanism mechanism) {
    switch (mechanism) {
        case AuthMechanism::xoauth2:
            return "XOAUTH2";
        case AuthMechanism::cram_md5:
            return "CRAM-MD5";
        case AuthMechanism::plain:
            return "PLAIN";
        case AuthMechanism::login:
            return "LOGIN";
    }
    return "";
}

namespace {

constexpr size_t challenges_max = 4;  // LOGIN has two; more is a host that goes in circles

Secret base64(std::string_view text) {
    std::string encoded(4 * ((text.size() + 2) / 3) + 1, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
    encoded.resize(static_cast<size_t>(size));
    return Secret(std::move(encoded));
}

std::optional<std::string> from_base64(std::string_view text) {
    while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
    std::string decoded(text.size() / 4 * 3 + 3, '\0');
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
    if (size < 0) return std::nullopt;
    size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
        ++padding;
    decoded.resize(static_cast<size_t>(size) - padding);
    return decoded;
}

std::string hex(std::span<const unsigned char> octets) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const unsigned char octet : octets) {
        text += digits[octet >> 4];
        text += digits[octet & 15];
    }
    return text;
}

/// RFC 2195: the user and HMAC-MD5 of the challenge, keyed by the password.
Secret cram_md5_answer(const Credentials& credentials, std::string_view challenge) {
    const std::string_view key = credentials.password.reveal();
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    HMAC(EVP_md5(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(challenge.data()), challenge.size(), digest, &size);
    return base64(credentials.user + " " + hex({digest, size}));
}

/// What goes with the AUTH command itself, where the mechanism lets the client begin.
std::optional<Secret> first_words(AuthMechanism mechanism, const Credentials& credentials) {
    std::string text;
    if (mechanism == AuthMechanism::plain) {
        text.append(1, '\0').append(credentials.user).append(1, '\0');
        text += credentials.password.reveal();
    } else if (mechanism == AuthMechanism::xoauth2) {
        text.append("user=").append(credentials.user).append("\1auth=Bearer ");
        text += credentials.password.reveal();
        text += "\1\1";
    } else {
        return std::nullopt;
    }
    Secret encoded = base64(text);
    Secret::wipe(text);
    return encoded;
}

/// The answer to the `number`th challenge, counted from 0; nullopt: there is none to that.
std::optional<Secret> answer_to(AuthMechanism mechanism, const Credentials& credentials,
                                size_t number, const std::string& challenge) {
    switch (mechanism) {
        case AuthMechanism::plain:
            // A host that does not take the words with the command asks for them with an empty
            // challenge.
            if (number == 0) return first_words(mechanism, credentials);
            return std::nullopt;
        case AuthMechanism::login:
            if (number == 0) return base64(credentials.user);
            if (number == 1) return base64(credentials.password.reveal());
            return std::nullopt;
        case AuthMechanism::cram_md5:
            if (number > 0) return std::nullopt;
            if (const auto decoded = from_base64(challenge))
                return cram_md5_answer(credentials, *decoded);
            return std::nullopt;
        case AuthMechanism::xoauth2:
            // The challenge says in JSON why not; an empty answer brings the refusal itself.
            if (number == 0) return Secret();
            return std::nullopt;
    }
    return std::nullopt;
}

Verdict not_logged_in(Reply reply, Failure failure) {
    return {.kind = Verdict::Kind::deferred,
            .stage = Stage::ehlo,
            .reply = std::move(reply),
            .failure = failure};
}

std::optional<AuthMechanism> choose(const Capabilities& offered, const Credentials& credentials) {
    for (const AuthMechanism mechanism : auth_mechanisms) {
        if (offered.auth & credentials.mechanisms & static_cast<uint8_t>(mechanism))
            return mechanism;
    }
    return std::nullopt;
}

std::string no_mechanism(const Capabilities& offered, const Credentials& credentials) {
    const auto names = [](uint8_t set) {
        std::string text;
        for (const AuthMechanism mechanism : auth_mechanisms) {
            if (!(set & static_cast<uint8_t>(mechanism))) continue;
            if (!text.empty()) text += ", ";
            text += to_string(mechanism);
        }
        return text;
    };
    if (offered.auth == 0)
        return "the host offers no AUTH that we know, and there are credentials for it";
    return "the host offers AUTH " + names(offered.auth) + ", and only " +
           names(credentials.mechanisms) + " may be used here (auth_mechanisms)";
}

/// "AUTH PLAIN AGFubgBzZWNyZXQ=" as two chunks, so that no copy of the secret is left behind.
Task<Result<Reply>> say(Dialogue* dialogue, std::string command, Secret secret,
                        std::chrono::milliseconds allowed) {
    if (dialogue->out_of_step()) co_return failure(Errc::protocol, out_of_turn);
    const std::string_view chunks[] = {command, secret.reveal(), "\r\n"};
    if (DialogueTap* const tap = dialogue->listener())
        tap->we_say(secret.reveal().empty() ? command : command + "(credentials)");
    co_await dialogue->write(chunks, allowed, Dialogue::Aloud::no);
    co_return co_await dialogue->reply(allowed, "AUTH");
}

}  // namespace

Task<std::expected<void, Verdict>> authenticate(Dialogue* dialogue, Capabilities offered,
                                                std::shared_ptr<const Credentials> credentials,
                                                std::chrono::milliseconds allowed) {
    const auto mechanism = choose(offered, *credentials);
    if (!mechanism) {
        co_return std::unexpected(
            not_logged_in({.text = no_mechanism(offered, *credentials)}, Failure::no_credentials));
    }
    std::string command = std::string("AUTH ").append(to_string(*mechanism));
    std::optional<Secret> words = first_words(*mechanism, *credentials);
    if (words) command += " ";
    Result<Reply> reply =
        co_await say(dialogue, std::move(command), words ? std::move(*words) : Secret(), allowed);
    for (size_t number = 0; reply && reply->code == 334 && number < challenges_max; ++number) {
        std::optional<Secret> answer = answer_to(*mechanism, *credentials, number, reply->text);
        if (!answer) {  // RFC 4954 4: "*" ends the exchange, and the host says 501
            reply = co_await say(dialogue, "*", Secret(), allowed);
            break;
        }
        reply = co_await say(dialogue, "", std::move(*answer), allowed);
    }
    if (!reply) {
        const Failure why = failure_of(reply.error().code);
        co_return std::unexpected(not_logged_in({.text = std::move(reply.error().what)}, why));
    }
    if (reply->code == 235) co_return std::expected<void, Verdict>();
    co_return std::unexpected(not_logged_in(std::move(*reply), Failure::no_credentials));
}

}  // namespace engine

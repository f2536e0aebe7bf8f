// STARTTLS (RFC 3207) and AUTH (RFC 4954, 4616).
#include <fmt/format.h>
#include <openssl/crypto.h>

#include <utility>

#include "engine/message/encode.h"
#include "ingest/smtp_session.h"
#include "metrics/check.h"
#include "metrics/log.h"

namespace ingest {

using engine::Instant;
using engine::Line;
using engine::Result;
using engine::Task;

namespace {

/// A SASL response (RFC 4954 4): strict base64, or "=" for an empty one.
std::optional<std::string> decode_response(std::string_view text) {
    if (text == "=") return std::string();
    const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
    const std::string_view digits = text.substr(0, text.size() - padding);
    if (text.size() % 4 != 0 || digits.find_first_of("= \t") != std::string_view::npos) {
        return std::nullopt;
    }
    return engine::decode_base64(text);
}

SmtpReply not_base64() {
    return {501, "5.5.2", "the response is not base64"};
}

struct PlainLogin {
    std::string user, password;
};

/// RFC 4616: whom to act for, NUL, user, NUL, password. Users act for themselves only.
std::optional<PlainLogin> split_plain(std::string_view response) {
    const size_t first = response.find('\0');
    const size_t second = first == std::string_view::npos ? first : response.find('\0', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    const std::string_view acts_for = response.substr(0, first);
    const std::string_view user = response.substr(first + 1, second - first - 1);
    const std::string_view password = response.substr(second + 1);
    if (user.empty() || password.contains('\0')) return std::nullopt;
    if (!acts_for.empty() && acts_for != user) return std::nullopt;
    return PlainLogin{std::string(user), std::string(password)};
}

}  // namespace

// ---- STARTTLS

Task<> SmtpSession::start_tls(std::string_view argument) {
    if (!argument.empty()) {
        co_return say(reject({501, "5.5.4", "STARTTLS takes no argument"}, "syntax"));
    }
    if (tls_) co_return say(reject({503, "5.5.1", "TLS is there already"}, "sequence"));
    if (!context_.access.tls) co_return say(reject({502, "5.5.1", "not offered here"}, "syntax"));
    // Whoever put something behind STARTTLS wants it to be taken for what was said under TLS
    // (CVE-2011-0411).
    if (!lines_->buffered().empty()) {
        co_return co_await part(
            reject({554, "5.5.0", "commands came behind STARTTLS. Closing the connection"}, "tls"));
    }
    say({220, "2.0.0", "go ahead"});
    co_await flush();
    if (!open_) co_return;
    forget();
    open_ = co_await shake_hands();
}

void SmtpSession::forget() {
    begin_anew();
    helo_.clear();
    esmtp_ = false;
    tenant_.clear();
    if (standing_ == Standing::logged_in) standing_ = Standing::stranger;
}

Task<bool> SmtpSession::shake_hands() {
    tls_ = std::make_unique<engine::TlsStream>(*transport_, context_.access.tls);
    stream_ = tls_.get();
    lines_.emplace(*stream_, engine::LineLimits{.kept = SmtpLimits::command_octets_max});
    stream_->expires_at(context_.clock.now() + SmtpLimits::handshake);
    const Result<void> done = co_await tls_->handshake(&context_.worker);
    if (done) co_return true;
    reject({}, "tls");
    transport_->close();
    metrics::log::debug("smtp.tls_failed", {{"peer", ip_}, {"why", done.error().what}});
    co_return false;
}

// ---- AUTH

/// Never over the network in the clear.
bool SmtpSession::offers_auth() const {
    return context_.logins != nullptr && (tls_ || is_local());
}

SmtpReply SmtpSession::early() const {
    return reject({554, "5.5.0", "commands came behind AUTH. Closing the connection"}, "sequence");
}

std::optional<SmtpReply> SmtpSession::refusal_of_auth() const {
    if (!context_.logins) return reject({502, "5.5.1", "not offered here"}, "syntax");
    if (!offers_auth()) {
        return reject({538, "5.7.11", "a password travels under TLS only; STARTTLS comes first"},
                      "login_plaintext");
    }
    if (!esmtp_) return reject({503, "5.5.1", "EHLO comes first"}, "sequence");
    if (standing_ == Standing::logged_in) {
        return reject({503, "5.5.1", "this session is logged in already"}, "sequence");
    }
    if (transaction_) return reject({503, "5.5.1", "a transaction is open"}, "sequence");
    // What did not wait for the answer would be read in the wrong standing.
    if (!lines_->buffered().empty()) return early();
    return std::nullopt;
}

Task<> SmtpSession::auth(std::string_view argument) {
    if (auto refusal = refusal_of_auth()) {
        if (refusal->code != 554) co_return say(*refusal);
        co_return co_await part(std::move(*refusal));
    }
    const size_t blank = argument.find(' ');
    const bool plain = same_word(argument.substr(0, blank), "PLAIN");
    if (!plain && !same_word(argument.substr(0, blank), "LOGIN")) {
        co_return say(reject({504, "5.5.4", "the mechanisms are PLAIN and LOGIN"}, "syntax"));
    }
    std::optional<std::string> response;
    if (blank == std::string_view::npos) {
        response = co_await ask(plain ? "" : "VXNlcm5hbWU6");
    } else {
        response = decode_response(argument.substr(blank + 1));
        if (!response) say(reject(not_base64(), "syntax"));
    }
    if (!response) co_return;
    if (plain) {
        auto login = split_plain(*response);
        OPENSSL_cleanse(response->data(), response->size());
        if (!login) {
            co_return say(
                reject({501, "5.5.2", "wants NUL, user, NUL and password in base64"}, "syntax"));
        }
        co_return co_await log_in(std::move(login->user), std::move(login->password));
    }
    auto password = co_await ask("UGFzc3dvcmQ6");
    if (password) co_await log_in(std::move(*response), std::move(*password));
}

/// One question and its answer; nullopt: there is none, and that has been said.
Task<std::optional<std::string>> SmtpSession::ask(std::string prompt) {
    say({334, "", std::move(prompt)});
    co_await flush();
    if (!open_) co_return std::nullopt;
    const Result<Line> line = co_await next_line();
    if (!line) {
        if (line.error().code == engine::Errc::timeout) say(closing("idle too long"));
        open_ = false;
        co_return std::nullopt;
    }
    if (!line->clean || line->truncated()) {
        co_await part(
            reject({500, "5.5.6", "the response is too long, or holds a bare CR or LF"}, "syntax"));
        co_return std::nullopt;
    }
    if (!lines_->buffered().empty()) {
        co_await part(early());
        co_return std::nullopt;
    }
    if (line->text == "*") {
        say({501, "5.7.0", "AUTH is off"});
        co_return std::nullopt;
    }
    auto response = decode_response(line->text);
    if (!response) say(reject(not_base64(), "syntax"));
    co_return response;
}

Task<> SmtpSession::log_in(std::string user, std::string password) {
    // All guesses are answered at the same time, whatever was wrong with them.
    const Instant answer_at = context_.clock.now() + SmtpLimits::login_answer;
    const std::string guesser = peer_network(transport_->peer());
    LoginAnswer answer =
        co_await ingest::log_in(*context_.logins, guesser, std::move(user), std::move(password));
    if (answer.kind == LoginAnswer::Kind::welcome) {
        standing_ = Standing::logged_in;
        tenant_ = std::move(answer.tenant);
        commands_ = 0;
        co_return say({235, "2.7.0", "welcome"});
    }
    co_await wait_until(answer_at);
    if (!open_) co_return;
    if (answer.kind == LoginAnswer::Kind::wrong) {
        say(reject({535, "5.7.8", "user or password is wrong"}, "login"));
    } else {
        const bool locked = answer.kind == LoginAnswer::Kind::locked;
        say(reject({454, "4.7.0",
                    fmt::format("{}; try again in {} s",
                                locked ? "too many wrong passwords" : "too many log in at once",
                                answer.wait.count())},
                   locked ? "login_locked" : "login_busy"));
    }
    if (++logins_failed_ >= SmtpLimits::logins_failed_max) {
        say(reject(closing("too many failed logins"), "errors"));
    }
}

/// A pause in which the peer must be silent; what it says meanwhile ends the session.
Task<> SmtpSession::wait_until(Instant time) {
    if (context_.clock.now() >= time) co_return;
    CHECK(lines_->buffered().empty(), "a login with commands behind it was looked at");
    stream_->expires_at(time);
    const Result<void> filled = co_await lines_->fill();
    if (filled || filled.error().code != engine::Errc::timeout) open_ = false;
}

}  // namespace ingest

#include "ingest/logins.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/reactor/address.h"
#include "engine/reactor/call.h"
#include "ingest/password_hash.h"
#include "metrics/check.h"
#include "metrics/log.h"

namespace ingest {

using engine::Task;

namespace {

/// Octets of a password do not stay where they were.
class Wiped {
  public:
    explicit Wiped(std::string text) : text_(std::move(text)) {}
    Wiped(const Wiped&) = delete;
    Wiped& operator=(const Wiped&) = delete;
    ~Wiped() { OPENSSL_cleanse(text_.data(), text_.size()); }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

}  // namespace

/// One password is hashed at a time: whoever waits finds the guard as the one before left it.
class Logins::Turn {
  public:
    explicit Turn(Logins& logins) : logins_(logins) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
        logins_.busy_ = false;
        if (logins_.waiting_.empty()) return;
        const auto next = logins_.waiting_.front();
        logins_.waiting_.pop_front();
        logins_.busy_ = true;  // theirs
        next.resume();
    }
    bool await_ready() noexcept { return !std::exchange(logins_.busy_, true); }
    void await_suspend(std::coroutine_handle<> handle) { logins_.waiting_.push_back(handle); }
    void await_resume() const noexcept {}

  private:
    Logins& logins_;
};

Logins::Logins(const engine::Clock& clock, engine::Worker& worker,
               std::vector<Credential> credentials)
    : clock_(clock), worker_(worker) {
    CHECK(RAND_bytes(key_.data(), static_cast<int>(key_.size())) == 1,
          "the system gives no random octets");
    use(std::move(credentials));
}

void Logins::use(std::vector<Credential> credentials) {
    const auto before = std::exchange(known_, {});
    for (Credential& credential : credentials) {
        const auto old = before.find(credential.user);
        const bool same = old != before.end() &&
                          old->second->credential.password_hash == credential.password_hash &&
                          old->second->credential.tenant == credential.tenant;
        std::string user = credential.user;
        known_.emplace(std::move(user),
                       same ? old->second
                            : std::make_shared<Known>(Known{.credential = std::move(credential)}));
    }
}

Logins::~Logins() {
    CHECK(waiting_.empty(), "logins wait for an answer that will not come");
}

Logins::Proof Logins::proof_of(std::string_view user, std::string_view password) const {
    std::string text;
    text.reserve(user.size() + 1 + password.size());
    text.append(user).append(1, '\0').append(password);
    Proof proof{};
    HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), proof.data(), nullptr);
    OPENSSL_cleanse(text.data(), text.size());
    return proof;
}

/// Why no password is looked at now. From where a user has logged in before, guesses from elsewhere
/// do not shut it out: else anybody could stop a tenant's mail.
std::optional<LoginAnswer> Logins::refusal(const std::string& peer, const std::string& user,
                                           const Known* known) {
    using Kind = LoginAnswer::Kind;
    const engine::Instant now = clock_.now();
    if (const auto wait = guard_.peer_locked(peer, now))
        return LoginAnswer{Kind::locked, {}, *wait};
    const bool good_peer =
        known && std::ranges::find(known->good_peers, peer) != known->good_peers.end();
    if (good_peer) return std::nullopt;
    if (const auto wait = guard_.account_locked(user, now))
        return LoginAnswer{Kind::locked, {}, *wait};
    if (guard_.has_room(peer, user, now)) return std::nullopt;
    return LoginAnswer{Kind::busy, {}, LoginGuard::lock_first};
}

LoginAnswer Logins::judge(const std::string& peer, const std::string& user, Known* known,
                          bool right) {
    ++evaluated_;
    if (!right) {
        guard_.failed(peer, user, clock_.now());
        // A name that we do not know may be a password in the wrong place.
        metrics::log::warn("login.failed", {{"peer", peer}, {"user", known ? user : "unknown"}});
        return {};
    }
    std::erase(known->good_peers, peer);
    known->good_peers.push_front(peer);
    if (known->good_peers.size() > good_peers_max) known->good_peers.pop_back();
    return {LoginAnswer::Kind::welcome, known->credential.tenant, {}};
}

Task<LoginAnswer> Logins::check(std::string peer, std::string user, std::string password) {
    const Wiped secret(std::move(password));
    const auto found = known_.find(user);
    const std::shared_ptr<Known> known = found == known_.end() ? nullptr : found->second;
    if (auto no = refusal(peer, user, known.get())) co_return std::move(*no);
    if (!known) co_return judge(peer, user, nullptr, false);
    const Proof proof = proof_of(user, secret.text());
    const auto fits = [&] {
        return CRYPTO_memcmp(proof.data(), known->proof->data(), proof.size()) == 0;
    };
    if (known->proof) co_return judge(peer, user, known.get(), fits());
    if (waiting_.size() >= waiting_max) {
        co_return LoginAnswer{LoginAnswer::Kind::busy, {}, std::chrono::seconds(1)};
    }
    Turn turn(*this);
    co_await turn;
    // Others have guessed meanwhile, or the right one came.
    if (auto no = refusal(peer, user, known.get())) co_return std::move(*no);
    if (known->proof) co_return judge(peer, user, known.get(), fits());
    bool right = false;
    co_await worker_.run(
        [&] { right = password_fits(secret.text(), known->credential.password_hash); });
    if (right) known->proof = proof;
    co_return judge(peer, user, known.get(), right);
}

namespace {

/// The question's own frame holds what it needs: it runs on another shard.
struct LoginQuestion {
    Logins* logins;
    std::string peer, user, password;
    Task<LoginAnswer> operator()() {
        co_return co_await logins->check(std::move(peer), std::move(user), std::move(password));
    }
};

}  // namespace

Task<LoginAnswer> log_in(LoginDesk desk, std::string peer, std::string user, std::string password) {
    LoginQuestion question{&desk.logins, std::move(peer), std::move(user), std::move(password)};
    co_return co_await engine::call(desk.here, desk.there, std::move(question));
}

std::string peer_network(std::string_view peer) {
    const auto address = engine::SocketAddress::parse(peer);
    if (!address || address->family() != AF_INET6) return address ? address->ip() : "local";
    in6_addr network = reinterpret_cast<const sockaddr_in6*>(address->raw())->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&network)) {
        char text[INET_ADDRSTRLEN];
        return inet_ntop(AF_INET, network.s6_addr + 12, text, sizeof text);
    }
    std::memset(network.s6_addr + 8, 0, 8);
    char text[INET6_ADDRSTRLEN];
    return std::string(inet_ntop(AF_INET6, &network, text, sizeof text)) + "/64";
}

}  // namespace ingest

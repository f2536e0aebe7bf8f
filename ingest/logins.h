// Logins: whether a user and a password may submit, and as which tenant. There is one in the whole
// daemon, on one shard, so that guesses are counted exactly; other shards ask by message.
#pragma once

#include <array>
#include <coroutine>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/reactor/shards.h"
#include "engine/reactor/task.h"
#include "engine/reactor/worker.h"
#include "ingest/login_guard.h"
#include "ingest/tenants.h"

namespace ingest {

struct LoginAnswer {
    enum class Kind : uint8_t {
        welcome,
        wrong,
        locked,  // nobody looked at the password: too many guesses came from there, or at this user
        busy     // nor now: too many passwords wait to be looked at
    };
    Kind kind = Kind::wrong;
    std::string tenant;            // of welcome
    std::chrono::seconds wait{0};  // of locked and busy
};

class Logins {
  public:
    static constexpr size_t waiting_max = 64;     // for the worker; the next is told to come again
    static constexpr size_t good_peers_max = 16;  // per user

    /// `worker` is where passwords are hashed: one of its own, because a hash takes some 10 ms.
    Logins(const engine::Clock& clock, engine::Worker& worker, std::vector<Credential> credentials);
    Logins(const Logins&) = delete;
    Logins& operator=(const Logins&) = delete;
    ~Logins();

    /// On its own shard: these instead. Passwords that were right and stay the same are still known.
    void use(std::vector<Credential> credentials);

    /// On its own shard. `peer` names what counts as one guesser; the answer to a guess should come
    /// at a time that does not tell how it was found.
    engine::Task<LoginAnswer> check(std::string peer, std::string user, std::string password);

    size_t evaluated() const { return evaluated_; }  // passwords that were looked at

  private:
    /// A keyed digest of a user and a password, by which a password that was right is known again
    /// without the slow hash; the key dies with the process.
    using Proof = std::array<unsigned char, 32>;
    struct Known {
        Credential credential;
        std::optional<Proof> proof;          // of the password, once it was right
        std::deque<std::string> good_peers;  // that logged in, the latest first
    };
    class Turn;

    std::optional<LoginAnswer> refusal(const std::string& peer, const std::string& user,
                                       const Known* known);
    LoginAnswer judge(const std::string& peer, const std::string& user, Known* known, bool right);
    Proof proof_of(std::string_view user, std::string_view password) const;

    const engine::Clock& clock_;
    engine::Worker& worker_;
    std::unordered_map<std::string, std::shared_ptr<Known>> known_;  // shared with questions under way
    std::array<unsigned char, 32> key_{};
    LoginGuard guard_;
    size_t evaluated_ = 0;
    bool busy_ = false;  // a password is being hashed
    std::deque<std::coroutine_handle<>> waiting_;
};

/// How a shard asks.
struct LoginDesk {
    engine::Post& here;
    engine::Post& there;  // of the shard that has them
    Logins& logins;
};
engine::Task<LoginAnswer> log_in(LoginDesk desk, std::string peer, std::string user,
                                 std::string password);

/// What counts as one guesser, or one who opens connections: an IPv4 address, or the /64 of an IPv6
/// one, because everybody has 2^64 of those.
std::string peer_network(std::string_view peer);

}  // namespace ingest

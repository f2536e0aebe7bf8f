// ModelReceiver: a receiver that understands what it is sent, keeps what it takes, and misbehaves
// as real ones do, by chance and from a seed. What it kept and under whose name is the truth that a
// client's verdicts are held against.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "engine/net/stream.h"
#include "tests/engine/smtp/support/script.h"

namespace engine::testing {

/// How a receiver is made; the same for all connections to it.
struct Habits {
    bool pipelining = true, chunking = false;
    bool refuses_behind_content = false;     // Haraka
    bool swallows_behind_content = false;    // chasquid, Courier
    bool takes_chunks_for_commands = false;  // go-smtp, after a refused BDAT
    bool keeps_transaction_open = false;     // Exim, after a refused BDAT
    bool goes_on_after_421 = false;          // Exim
    bool counts_resets = false;              // Exim: ten that follow no mail end the connection
    bool says_exim = false;                  // in its banner
    unsigned messages_max = 0;               // over one connection
    unsigned refusals_percent = 10;
    unsigned cuts_per_mille = 3;  // of all commands: the connection dies there
};

/// A mail as it was kept. Its content says which one it is.
struct Kept {
    std::string sender, recipient, content;
};

class ModelReceiver : public Stream {
  public:
    ModelReceiver(ManualClock& clock, std::mt19937& random, Habits habits, std::vector<Kept>& kept);

    Task<Result<std::string_view>> read() override;
    Task<Result<void>> write(std::span<const std::string_view> chunks) override;
    void expires_at(Instant deadline) override { deadline_ = deadline; }
    void close() override {}
    std::string peer() const override { return "192.0.2.1:25"; }
    /// It has ended the connection because of RSETs.
    bool dropped() const { return dropped_; }

  private:
    bool chance(unsigned per_mille) { return random_() % 1000 < per_mille; }
    void answer(std::string reply) { outbox_ += reply + "\r\n"; }
    bool work();  // on the next command or content in inbox_; false: it is not whole yet
    void command(const std::string& line);
    void mail(const std::string& line);
    void rcpt(const std::string& line);
    void reset();
    bool content_behind_data();
    bool chunk();
    void judge(const std::string& content);
    void die();
    std::string refusal();

    ManualClock& clock_;
    std::mt19937& random_;
    const Habits habits_;
    std::vector<Kept>& kept_;
    std::string inbox_, outbox_, segment_;
    std::string sender_;
    std::vector<std::string> recipients_;
    bool open_ = false, in_data_ = false, behind_content_ = false;
    size_t chunk_left_ = 0;
    bool in_chunk_ = false, leaving_ = false, dead_ = false, dropped_ = false;
    bool free_reset_ = true;  // one RSET for each mail that was taken is not counted
    unsigned resets_ = 0, messages_ = 0;
    Instant deadline_{};
};

}  // namespace engine::testing

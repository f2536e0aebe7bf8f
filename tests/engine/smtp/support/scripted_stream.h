// ScriptedStream: the server's side of a script as a Stream. Nothing here ever waits: a read that
// would wait for ever moves the clock to its deadline and times out.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "tests/engine/smtp/support/script.h"

namespace engine::testing {

class ScriptedStream : public Stream {
  public:
    /// `turns`: the S and C lines of the script in order, with macros expanded.
    struct Turn {
        enum class Kind : uint8_t {
            client,
            server,
            close,
            reset,
            silence,
            refuse_writes,
            cut_write
        };
        Kind kind{};
        int line = 0;
        std::string bytes;
    };
    ScriptedStream(ManualClock& clock, Cut cut) : clock_(clock), cut_(cut) {}

    void add(Turn turn) { turns_.push_back(std::move(turn)); }
    const std::vector<std::string>& complaints() const { return complaints_; }
    size_t octets_written() const { return octets_written_; }  // tried, too
    /// Complains of what the client should have written, and of replies that it has not read unless
    /// it had a reason to stop reading.
    enum class Unread : uint8_t { complain, ignore };
    void finish(Unread unread);

    Task<Result<std::string_view>> read() override;
    Task<Result<void>> write(std::span<const std::string_view> chunks) override;
    void expires_at(Instant deadline) override { deadline_ = deadline; }
    void close() override {}
    std::string peer() const override { return "192.0.2.1:25"; }

  private:
    void gather();
    Result<void> take(const std::string& bytes);

    ManualClock& clock_;
    Cut cut_;
    std::deque<Turn> turns_;
    std::string segment_;   // what the last read gave; overwritten by the next, as in a real stream
    std::string arriving_;  // the server's bytes that are not yet read
    Instant deadline_{};
    bool refuses_writes_ = false;
    size_t octets_written_ = 0;
    std::vector<std::string> complaints_;
};

}  // namespace engine::testing

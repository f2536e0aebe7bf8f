// The server's side of one SMTP session (RFC 5321, 2920, 3030, 6152, 6531, 1870), without a socket:
// octets in, replies out. The server owns the buffers and the clock.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/sink/allowance.h"
#include "bench/sink/body.h"
#include "bench/sink/journal.h"
#include "bench/sink/script.h"
#include "bench/sink/tally.h"

namespace sink {

struct Policy {
    std::string host_name = "sink.test";
    uint64_t message_bytes_max = 50ull << 20;
    unsigned messages_per_connection = 0;  // 0: no limit; over it MAIL meets 421
    unsigned recipients_max = 1000;        // of a message; over it RCPT meets 452
    bool chunking = true;
    bool final_delay = false;  // the reply to a message waits until release()
};

/// What all sessions of a server share; they live shorter than it.
struct Shared {
    Policy policy;
    Script script;
    Tally tally;
    Journal* journal = nullptr;  // null: nothing is kept
    uint64_t mails = 0;          // ordinal for the mail stage
    Allowance allowance{};       // messages a second; over it MAIL meets 451
};

class Session {
  public:
    static constexpr size_t command_octets_max = 4096;
    static constexpr size_t replies_octets_max =
        64 * 1024;  // more are not made before the last ones are gone
    static constexpr unsigned errors_max = 50;

    enum class Next : uint8_t {
        read,   // wants more input
        hold,   // the reply to a message is ready but not written: call release() when its time has
                // come
        close,  // write the replies, then close
        cut,    // the same, without waiting for the client's close
    };

    explicit Session(Shared& shared);

    /// The banner, or the refusal that the script chose for the n-th connection.
    Next greet(uint64_t ordinal, std::string& replies);

    /// Consumes what it can from the front of `input` (taking it away) and appends replies. What is
    /// left of `input` is the head of an unfinished command, or everything behind a point where the
    /// session stopped.
    Next feed(std::string_view& input, std::string& replies);

    /// Appends the reply that was held back. Continue with feed(): the input behind the message
    /// waits.
    Next release(std::string& replies);

  private:
    enum class State : uint8_t { command, data, chunk, held };

    Next on_command(std::string_view line, bool more_input, std::string& replies);
    Next on_hello(std::string_view argument, bool extended, std::string& replies);
    Next on_mail(std::string_view argument, std::string& replies);
    Next on_rcpt(std::string_view argument, std::string& replies);
    Next on_data(bool more_input, std::string& replies);
    Next on_bdat(std::string_view argument, std::string& replies);
    Next on_chunk_end(std::string& replies);
    Next on_message(std::string& replies);

    /// A reply of our own at `stage`; counts it.
    Next say(Stage stage, std::string_view line, std::string& replies);
    Next refuse(Stage stage, Fault fault, std::string_view line, std::string& replies);
    Next scripted(Stage stage, const Reply& reply, std::string& replies);
    void reset();

    Shared& shared_;
    State state_ = State::command;
    Envelope envelope_;
    Body body_;
    bool has_mail_ = false;
    bool greeted_ = false;
    bool utf8_ = false;
    bool eight_bit_ = false;
    bool chunked_ = false;  // the transaction uses BDAT
    bool chunk_last_ = false;
    bool chunk_discard_ = false;  // of a refused BDAT: the octets must be passed over all the same
    uint64_t chunk_left_ = 0;
    uint64_t declared_size_ = 0;  // 0: not declared
    unsigned messages_ = 0;
    unsigned errors_ = 0;
    std::string held_;
    Next held_next_ = Next::read;
};

}  // namespace sink

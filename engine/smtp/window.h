// Window: the transactions of one connection, one after another or several under way at a time. It
// pulls the mails, decides what is written when, feeds each reply to the transaction whose turn it
// is, and gives each mail's outcome back as soon as it is settled.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "engine/smtp/capabilities.h"
#include "engine/smtp/host_traits.h"
#include "engine/smtp/mail_source.h"
#include "engine/smtp/timeouts.h"
#include "engine/smtp/transaction.h"

namespace engine {

class Dialogue;
struct Flight;

class Window {
  public:
    /// Commands without a reply at a time. Bounded so that neither side's buffers can fill up with
    /// both waiting for the other to read (RFC 2920 3.1): the replies to a hundred commands fit any
    /// socket buffer.
    static constexpr size_t commands_max = 100;
    /// Mails refused in a row; then the connection is given up before the host does it: Exim drops
    /// it after ten RSETs, Postfix slows down after ten errors.
    static constexpr uint32_t refused_in_a_row_max = 8;
    /// RSETs that Exim holds superfluous, because it has taken no mail since the one before;
    /// likewise.
    static constexpr uint32_t counted_resets_max = 8;
    /// Octets of messages without a reply at a time, beyond which no further one is begun.
    static constexpr size_t in_flight_bytes_max = size_t{8} * 1024 * 1024;
    /// Octets of several messages that are gathered for one write.
    static constexpr size_t gathered_bytes_max = size_t{256} * 1024;

    Window(Dialogue& dialogue, const Capabilities& host, const SmtpTimeouts& timeouts);
    ~Window();

    /// Before the first run(). `banner`: what the host called itself.
    void begin(std::string_view banner, SessionPlan plan, std::shared_ptr<HostTraits> traits);
    /// How long the host took for a command that needs no thought.
    void note_round_trip(std::chrono::nanoseconds took);

    /// Sends what `source` gives until it has no more, or the connection has come to its end. Each
    /// mail that was taken has its outcome when this returns.
    Task<> run(MailSource* source);

    bool usable() const { return usable_; }  // QUIT may be said, or more be sent
    /// The connection has carried as much as it should: close it, and open another one.
    bool spent() const;
    uint32_t begun() const { return begun_; }  // transactions

  private:
    enum class Place : uint8_t { alone, behind_content };

    Depth depth() const;
    bool chunks() const;  // the content goes behind a BDAT
    bool goes_whole(const Flight& flight) const;
    bool probe_is_due() const;
    std::chrono::milliseconds patience() const;

    Flight* take();
    Flight* first_unsent();
    void open(Flight& flight, Transaction::Pace pace, Place place);

    Task<> one_message();
    Task<> send_envelope(Flight* flight);
    Task<> send_content(Flight* flight);
    Task<> write_content(Flight* flight, std::string_view behind);
    void content_leaves(const Flight& flight);
    Task<> take_probe_reply();

    Task<> whole_messages();
    Task<> fill();
    Task<> gather(Flight* flight);
    Task<> flush();
    Task<> probe_chunk();

    bool take_reply_here(Flight& flight, Step step);
    Task<> take_reply(Flight* flight, Step step);
    void judge(Flight& flight, Step step, const Result<Reply>& result, bool first_behind);
    void trouble(Depth in_use);
    void settle_front();
    void settle_decided();
    void abandon();
    void learn(const Flight& flight, const Outcome& outcome);

    Dialogue& dialogue_;
    const Capabilities& host_;
    const SmtpTimeouts& timeouts_;
    SessionPlan plan_;
    std::shared_ptr<HostTraits> traits_;
    MailSource* source_ = nullptr;
    // The oldest in front. At most plan_.window of them; a deque would keep 576 octets at rest.
    std::vector<std::unique_ptr<Flight>> flights_;
    std::vector<std::string_view> gathered_;  // octets for the next write of whole messages
    std::vector<Flight*> gathered_flights_;   // whose last octet is among them
    size_t gathered_bytes_ = 0;
    uint32_t begun_ = 0, taken_ = 0;  // transactions; those whose content the host took
    uint32_t refused_in_a_row_ = 0;
    uint32_t counted_resets_ = 0;  // at most, as Exim counts
    std::chrono::nanoseconds round_trip_{};
    bool usable_ = true;
    bool reads_on_ = true;           // replies can still come, and be told apart
    bool left_open_ = false;         // the last transaction; RSET goes in front of the next MAIL
    bool counts_resets_ = false;     // Exim: an RSET too many ends the connection
    bool something_behind_ = false;  // behind the content whose reply is waited for
    bool behind_content_ = false;    // the next reply is to what stood behind a content
    std::unique_ptr<const Reply> goodbye_;  // the host said that it closes the connection
};

}  // namespace engine

// Dialogue: one connection to a simulated host, from the banner to its end.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/net/tls_connection.h"
#include "tests/sim/receiver.h"
#include "tests/sim/tls.h"

namespace sim {

/// "a@b" of "MAIL FROM:<a@b>"; empty: there is none.
std::string between_brackets(std::string_view line);

/// One connection. Commands are taken one after the other, each after some thought.
class Host::Dialogue final : public Peer, public std::enable_shared_from_this<Dialogue> {
  public:
    Dialogue(Host& host, std::shared_ptr<Link> link) : host_(host), link_(std::move(link)) {}

    void connected() override;
    /// Whose mail is on its way: when an answer goes wrong, theirs may be taken for another's.
    void leaving(std::string_view bytes) override;
    void bytes(std::string bytes, Sent sent) override;
    void ended() override;

  private:
    const Manners& manners() const { return host_.manners_; }
    const SettingsBook& settings() const { return host_.book_.settings(); }
    /// Whatever settings may have counted since then said so.
    bool tls_was(Instant since, engine::TlsPolicy least, engine::TlsPolicy most) const;
    /// Empty: a reload may have changed it since the mail was begun.
    std::string provider() const;
    void say(const std::string& line, std::function<void()> read = {});
    void write(const std::string& line, std::function<void()> read);
    /// What came over the wire becomes what was said. False: that is no TLS.
    bool decrypt(std::string& bytes);
    void start_tls();
    void shake_badly();
    void leave(void (Link::*how)());
    auto gone_how() -> void (Link::*)();
    void went_wrong();
    void lied_to_what_comes();
    void pump();
    bool something_whole() const;
    size_t end_of_content() const;
    std::string take(size_t size);
    void step();
    /// True when nothing more is to be done.
    bool trouble();

    // dialogue_commands.cc
    void command(std::string_view line, Sent sent);
    void clear();
    void mail(std::string_view line, Sent sent);
    void rcpt(std::string_view line);
    void begin_data();
    void data();
    void begin_chunk(std::string_view line);
    void chunk();
    void end_of_message();
    /// The content is that of these recipients' job, whole, and under its sender.
    void check(const std::string& content, const std::string& sender,
               const std::vector<Item*>& recipients);

    Host& host_;
    std::shared_ptr<Link> link_;
    const uint32_t boot_ = host_.book_.boot();  // of the node that speaks; it may be gone since
    const Instant opened_ = host_.world_.now();
    std::string input_;
    uint64_t taken_in_ = 0;
    std::deque<std::pair<uint64_t, Sent>> sent_;  // up to which octet: when
    bool busy_ = false, gone_ = false, silent_ = false, trusted_ = true;
    uint32_t messages_ = 0, mails_ = 0;  // begun, asked for
    size_t recipients_asked_ = 0;        // since the last MAIL
    bool has_sender_ = false;
    std::string sender_;
    Instant mail_sent_{}, mail_begun_{};
    std::optional<Instant> reset_begun_;  // and nothing but MAIL since
    std::vector<Item*> recipients_;       // that were accepted
    std::vector<Item*> asked_;            // named since the last MAIL
    std::string leaving_;                 // a line of the engine's that is not whole yet
    std::deque<Item*> coming_;            // named by what is on its way
    std::deque<std::string> senders_coming_;
    bool in_data_ = false;
    std::optional<size_t> chunk_left_;
    bool last_chunk_ = false;
    std::unique_ptr<engine::TlsConnection> tls_;  // from the 220 to STARTTLS on
    bool tls_up_ = false;
    bool shakes_badly_ = false;  // nothing comes of the handshake
    std::string wire_;           // what tls_ reads
    bool holds_back_ = false;    // the next reply, until the one after it is out
    std::optional<std::pair<std::string, std::function<void()>>> held_;
    std::string content_;
};

}  // namespace sim

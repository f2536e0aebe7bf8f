// SmtpSession: one connection's dialogue. Its parts are in three files: the dialogue itself and the
// envelope (smtp_session.cc), STARTTLS and AUTH (smtp_session_login.cc), content
// (smtp_session_content.cc).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/net/line_reader.h"
#include "engine/net/tls_stream.h"
#include "ingest/smtp_chunks.h"
#include "ingest/smtp_command.h"
#include "ingest/smtp_data.h"
#include "ingest/smtp_envelope.h"
#include "ingest/smtp_message.h"
#include "ingest/smtp_server.h"

namespace ingest {

/// Octets of content in memory, counted against the shard's limit.
class SmtpInHand {
  public:
    explicit SmtpInHand(uint64_t& total) : total_(total) {}
    SmtpInHand(const SmtpInHand&) = delete;
    SmtpInHand& operator=(const SmtpInHand&) = delete;
    ~SmtpInHand() { set(0); }
    void set(uint64_t bytes) {
        total_ += bytes - bytes_;  // may shrink: modulo 2^64 is meant
        bytes_ = bytes;
    }

  private:
    uint64_t& total_;
    uint64_t bytes_ = 0;
};

/// A message that comes in chunks.
struct SmtpChunked {
    explicit SmtpChunked(uint64_t& total)
        : content(SmtpLimits::message_bytes_max), in_hand(total) {}
    SmtpChunks content;
    SmtpInHand in_hand;
};

/// From MAIL to the end of the content.
struct SmtpTransaction {
    MailFrom mail;
    std::vector<engine::Recipient> recipients;
    size_t refused = 0;                 // recipients
    std::optional<SmtpChunked> chunks;  // from the first BDAT on
    engine::Instant content_begun{};    // likewise, or from DATA on
};

class SmtpSession {
  public:
    SmtpSession(std::unique_ptr<engine::Stream> transport, SmtpServerContext& context,
                SmtpPort port);
    SmtpSession(const SmtpSession&) = delete;
    SmtpSession& operator=(const SmtpSession&) = delete;
    ~SmtpSession();

    engine::Task<> run();
    /// In place of run().
    engine::Task<> turn_away(std::string_view why);

  private:
    /// What the peer may do.
    enum class Standing : uint8_t { stranger, trusted, logged_in };

    // The dialogue.
    engine::Task<> converse();
    engine::Task<bool> speaks_early();
    engine::Task<engine::Result<engine::Line>> next_line();
    engine::Task<engine::Result<void>> wait_for_bytes();
    engine::Instant patience() const;
    engine::Task<> obey(engine::Line line);
    engine::Task<> follow(SmtpCommand command);
    engine::Task<> refuse_line(SmtpReply reply, std::string_view text);
    engine::Task<> flush();
    engine::Task<> linger();
    engine::Task<> part(SmtpReply reply);  // the last one
    void say(const SmtpReply& reply);
    SmtpReply reject(SmtpReply reply, std::string_view reason) const;
    SmtpReply refused_by(const engine::Refusal& refusal);
    SmtpReply closing(std::string_view why);
    bool is_local() const { return ip_.empty() || loopback_; }

    // The envelope.
    SmtpReply greet(SmtpCommand command);
    SmtpReply mail(std::string_view argument);
    SmtpReply rcpt(std::string_view argument);
    SmtpReply reset(std::string_view argument);
    void begin_anew();

    // STARTTLS and AUTH.
    bool offers_auth() const;
    engine::Task<> start_tls(std::string_view argument);
    engine::Task<bool> shake_hands();
    void forget();  // what was said before TLS (RFC 3207 4.2)
    std::optional<SmtpReply> refusal_of_auth() const;
    SmtpReply early() const;
    engine::Task<> auth(std::string_view argument);
    engine::Task<std::optional<std::string>> ask(std::string prompt);
    engine::Task<> log_in(std::string user, std::string password);
    engine::Task<> wait_until(engine::Instant time);

    // Content.
    engine::Task<> data(std::string_view argument);
    std::optional<SmtpReply> refusal_of_data(std::string_view argument) const;
    engine::Task<engine::Result<void>> receive(SmtpData* data, SmtpInHand* in_hand);
    engine::Task<> bdat(std::string_view argument);
    std::optional<SmtpReply> refusal_of_chunk(const SmtpChunk& chunk) const;
    engine::Task<engine::Result<void>> receive_chunk(uint64_t octets, SmtpChunked* into);
    engine::Instant content_deadline(uint64_t bytes) const;
    void lost(const engine::Error& error);
    engine::Task<> finish(std::string message);
    engine::Task<SmtpReply> store(std::string message);
    engine::Task<SmtpReply> store_once(SmtpJob job);
    engine::Task<SmtpReply> accept(engine::JobPart part,
                                   std::vector<storage::IdempotencyRecord> records);
    engine::Task<> compile(SmtpSubmission* submission, engine::Origin origin,
                           std::expected<SmtpJob, SmtpReply>* job);
    SmtpTrace trace() const;

    std::unique_ptr<engine::Stream> transport_;
    SmtpServerContext& context_;
    const SmtpPort port_;
    std::unique_ptr<engine::TlsStream> tls_;
    engine::Stream* stream_;  // whichever of the two is spoken over
    std::optional<engine::LineReader> lines_;
    std::string ip_;  // of the peer; empty: a Unix socket
    bool loopback_ = false;

    Standing standing_ = Standing::stranger;
    std::string tenant_;  // of the login
    engine::Instant login_deadline_{};
    size_t logins_failed_ = 0;

    std::string replies_;  // gathered while more commands are at hand (RFC 2920)
    std::string helo_;
    bool esmtp_ = false;
    bool open_ = true;
    size_t errors_ = 0;
    size_t commands_ = 0;  // since something was handed over
    size_t transactions_ = 0;
    std::optional<SmtpTransaction> transaction_;
};

}  // namespace ingest

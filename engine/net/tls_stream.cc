#include "engine/net/tls_stream.h"

#include <algorithm>

#include "metrics/check.h"

namespace engine {

namespace {

constexpr size_t plain_kept = 512;  // octets of room that an idle connection keeps

/// The chunks as records: short ones together, because each record costs 29 octets and a system
/// call's worth of arithmetic.
class Records {
  public:
    explicit Records(std::span<const std::string_view> chunks) : chunks_(chunks) {}

    /// The next record's plaintext, empty at the end; valid until the next call.
    std::string_view next() {
        gathered_.clear();
        while (!chunks_.empty()) {
            const std::string_view rest = chunks_.front().substr(offset_);
            const size_t room = TlsConnection::record_max - gathered_.size();
            const std::string_view part = rest.substr(0, room);
            offset_ += part.size();
            const bool whole = part.size() == rest.size();
            if (whole) advance();
            if (gathered_.empty() && (part.size() == room || chunks_.empty())) return part;
            gathered_ += part;
            if (!whole) break;
        }
        return gathered_;
    }

  private:
    void advance() {
        chunks_ = chunks_.subspan(1);
        offset_ = 0;
        while (!chunks_.empty() && chunks_.front().empty()) chunks_ = chunks_.subspan(1);
    }
    std::span<const std::string_view> chunks_;
    size_t offset_ = 0;
    std::string gathered_;
};

std::string key_of(const std::string& host, const TlsDemand& demand) {
    std::string key = host;
    for (const std::string& name : demand.names) key.append("\n").append(name);
    for (const TlsaRecord& record : demand.tlsa) {
        key += '\0';
        key += static_cast<char>(record.usage);
        key += static_cast<char>(record.selector);
        key += static_cast<char>(record.matching);
        key += record.data;
    }
    return key;
}

}  // namespace

TlsStream::TlsStream(Stream& below, std::shared_ptr<const TlsContext> context)
    : below_(below), connection_(std::move(context)) {}

TlsStream::~TlsStream() {
    CHECK(!reading_ && !writing_, "a TLS stream was destroyed while a task uses it");
}

void TlsStream::expect(const std::string& host, const TlsDemand& demand, TlsSessions* sessions,
                       const Clock* clock) {
    connection_.expect(host, demand);
    sessions_ = sessions;
    clock_ = clock;
    if (!sessions_) return;
    session_key_ = key_of(host, demand);
    connection_.resume(sessions_->take(session_key_, clock_->now()));
}

Task<Result<void>> TlsStream::handshake(Worker* worker) {
    CHECK(!reading_ && !writing_, "a handshake beside other use of the stream");
    using Progress = TlsConnection::Progress;
    struct Busy {
        bool& flag;
        explicit Busy(bool& f) : flag(f) { flag = true; }
        ~Busy() { flag = false; }
    };
    const Busy reading(reading_);
    for (;;) {
        Progress progress{};
        if (worker)
            co_await worker->run_briefly([&] { progress = connection_.handshake(); });
        else
            progress = connection_.handshake();
        const Result<void> flushed = co_await flush();  // an alert says to the peer why it failed
        if (progress == Progress::done) {
            if (!flushed) co_return std::unexpected(flushed.error());
            break;
        }
        if (progress != Progress::needs_input) {
            broken_ = true;
            if (sessions_ && connection_.tried_to_resume()) sessions_->forget(session_key_);
            co_return failure(Errc::protocol, "the TLS handshake failed: " + connection_.error());
        }
        if (!flushed) co_return std::unexpected(flushed.error());
        CHECK(!connection_.input_left(), "OpenSSL waits for octets that it has");
        const std::string_view more = TRY(co_await below_.read());
        connection_.give(more);
    }
    result_ = connection_.result();
    keep_sessions();
    co_return Result<void>();
}

Task<Result<std::string_view>> TlsStream::read() {
    CHECK(!reading_, "two tasks read from one stream");
    using Progress = TlsConnection::Progress;
    plain_.clear();
    if (plain_.capacity() > plain_kept) plain_.shrink_to_fit();
    for (;;) {
        if (broken_) co_return failure(Errc::closed, "read: the TLS connection has failed before");
        const Progress progress = connection_.read(plain_);
        keep_sessions();
        if (progress == Progress::done && !plain_.empty()) co_return std::string_view(plain_);
        if (progress == Progress::ended)
            co_return failure(Errc::closed, "read: the peer closed the connection");
        if (progress == Progress::failed) {
            broken_ = true;
            std::string why = "read: " + connection_.error();
            if (!writing_) co_await flush();
            // Nothing of the peer's words has come through: a cut, and not words that make no
            // sense. Exim says in the clear why it closes a connection.
            co_return failure(Errc::reset, std::move(why));
        }
        if (connection_.output_bytes() > unsent_max) {
            broken_ = true;
            co_return failure(Errc::protocol, "read: the peer asks for answers without end");
        }
        if (connection_.input_left()) continue;
        reading_ = true;
        const auto more = co_await below_.read();
        reading_ = false;
        if (!more) co_return std::unexpected(more.error());
        connection_.give(*more);
    }
}

void TlsStream::let_go() {
    plain_.clear();
    if (plain_.capacity() > plain_kept) plain_.shrink_to_fit();
    if (!connection_.input_left()) below_.let_go();
}

Task<Result<void>> TlsStream::write(std::span<const std::string_view> chunks) {
    CHECK(!writing_, "two tasks write to one stream");
    Records records(chunks);
    std::string_view record = records.next();
    while (!record.empty()) {
        for (; !record.empty() && connection_.output_bytes() < batch_max; record = records.next()) {
            if (broken_ || connection_.write(record) != TlsConnection::Progress::done) {
                broken_ = true;
                co_return failure(Errc::closed, "write: the TLS connection has failed");
            }
        }
        writing_ = true;
        auto flushed = co_await flush();
        writing_ = false;
        if (!flushed) {
            broken_ = true;  // part of a record may be out: nothing can follow it
            co_return flushed;
        }
    }
    co_return Result<void>();
}

Task<> TlsStream::say_goodbye() {
    if (broken_ || writing_) co_return;
    connection_.say_goodbye();
    writing_ = true;
    co_await flush();
    writing_ = false;
}

Task<Result<void>> TlsStream::flush() {
    while (connection_.has_output()) {
        const std::string octets = connection_.take_output();
        const std::string_view chunk = octets;
        TRY(co_await below_.write({&chunk, 1}));
    }
    co_return Result<void>();
}

void TlsStream::keep_sessions() {
    for (TlsSession& session : connection_.take_sessions()) {
        if (sessions_) sessions_->keep(session_key_, std::move(session), clock_->now());
    }
}

}  // namespace engine

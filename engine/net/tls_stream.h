// TlsStream: TLS over another Stream, either side of it. What is read and written are whole
// records, moved as they come; nothing is kept of them while the connection is idle.
#pragma once

#include <memory>
#include <string>

#include "engine/net/stream.h"
#include "engine/net/tls.h"
#include "engine/net/tls_connection.h"
#include "engine/net/tls_context.h"
#include "engine/net/tls_sessions.h"
#include "engine/reactor/worker.h"

namespace engine {

class TlsStream final : public Stream {
  public:
    /// `below` is a connected stream that outlives this one; nobody else reads or writes it from
    /// here on. What the peer had sent before it was asked for TLS must not be in it any more.
    TlsStream(Stream& below, std::shared_ptr<const TlsContext> context);
    TlsStream(const TlsStream&) = delete;
    TlsStream& operator=(const TlsStream&) = delete;
    /// No read, write or handshake may be under way.
    ~TlsStream() override;

    /// For a client, before the handshake. `host`: a name, or an address in brackets. `demand` says
    /// what its certificate is checked against; whether that was enough is result()'s to say.
    /// `sessions` may be null, and outlives the stream.
    void expect(const std::string& host, const TlsDemand& demand, TlsSessions* sessions,
                const Clock* clock);

    /// Before all else, within the deadline of the stream. `worker`: where the arithmetic is done
    /// (0.2 to 0.5 ms for a client, 0.1 ms with a session); null: here. Errors: those of the stream
    /// below; protocol, with OpenSSL's reason.
    Task<Result<void>> handshake(Worker* worker = nullptr);
    const TlsResult& result() const { return result_; }

    /// Says close_notify, and does not wait for the peer's: SMTP has its own goodbye before it.
    Task<> say_goodbye();

    Task<Result<std::string_view>> read() override;
    void let_go() override;
    Task<Result<void>> write(std::span<const std::string_view> chunks) override;
    void expires_at(Instant deadline) override { below_.expires_at(deadline); }
    void close() override { below_.close(); }
    std::string peer() const override { return below_.peer(); }

  private:
    static constexpr size_t batch_max = 4 * TlsConnection::record_max;  // encrypted at a time
    static constexpr size_t unsent_max = 65536;  // answers to a peer that makes us answer

    Task<Result<void>> flush();
    void keep_sessions();

    Stream& below_;
    TlsConnection connection_;
    TlsResult result_;
    TlsSessions* sessions_ = nullptr;
    const Clock* clock_ = nullptr;
    std::string session_key_;
    std::string plain_;  // what the last read() gave
    bool broken_ = false;
    bool reading_ = false, writing_ = false;
};

}  // namespace engine

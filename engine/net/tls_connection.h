// TlsConnection: TLS without I/O: octets of the wire go in and come out, on whichever thread asks,
// one at a time. TlsStream moves them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/net/tls.h"
#include "engine/net/tls_sessions.h"

struct ssl_st;

namespace engine {

class TlsContext;

class TlsConnection {
  public:
    static constexpr size_t record_max = 16384;  // plaintext octets of one record (RFC 8446 5.1)

    explicit TlsConnection(std::shared_ptr<const TlsContext> context);
    TlsConnection(const TlsConnection&) = delete;
    TlsConnection& operator=(const TlsConnection&) = delete;
    ~TlsConnection();

    /// A client's connection, before its handshake: whom it wants to speak to (a name, or an
    /// address in brackets), and what the certificate is checked against.
    void expect(const std::string& host, const TlsDemand& demand);
    void resume(const TlsSession& session);  // likewise

    enum class Progress : uint8_t { done, needs_input, ended, failed };
    Progress handshake();
    /// Some plaintext, in place of what `plain` held. ended: the peer has said close_notify.
    Progress read(std::string& plain);
    /// At most record_max octets become one record.
    Progress write(std::string_view plain);
    void say_goodbye();  // close_notify, into the output

    /// Octets of the wire; they must stay valid until all of them are used: input_left() is false.
    void give(std::string_view input) { input_ = input; }
    bool input_left() const { return !input_.empty(); }
    bool has_output() const { return !output_.empty(); }
    size_t output_bytes() const { return output_.size(); }
    std::string take_output() { return std::exchange(output_, {}); }

    const std::string& error() const { return error_; }  // of the last `failed`, in words
    TlsResult result() const;                            // after the handshake
    bool tried_to_resume() const { return tried_to_resume_; }
    std::vector<TlsSession> take_sessions() { return std::exchange(sessions_, {}); }

    static TlsConnection& of(ssl_st* ssl);
    int learnt(ssl_session_st* session);  // OpenSSL's callback: 1 when it is kept

  private:
    struct Wire;  // OpenSSL's view of input_ and output_
    Progress judge(int result);

    std::shared_ptr<const TlsContext> context_;
    ssl_st* ssl_;
    std::string_view input_;
    std::string output_;
    std::string error_;
    bool checks_tlsa_ = false;
    bool tried_to_resume_ = false;
    std::vector<TlsSession> sessions_;
};

}  // namespace engine

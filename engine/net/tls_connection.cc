#include "engine/net/tls_connection.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/net/tls_context.h"
#include "engine/net/tls_words.h"
#include "metrics/check.h"

namespace engine {

namespace {

constexpr size_t sessions_learnt_max = 4;  // between two reads; a server sends two

/// "[192.0.2.1]" or "[IPv6:2001:db8::1]" as the address alone; empty for a name.
std::string address_of(const std::string& host) {
    if (!host.starts_with('[') || !host.ends_with(']')) return {};
    std::string address = host.substr(1, host.size() - 2);
    return address.starts_with("IPv6:") ? address.substr(5) : address;
}

TlsFailure failure_for(long verified, bool checks_tlsa) {
    switch (verified) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return TlsFailure::expired;
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return TlsFailure::wrong_name;
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_CERT_UNTRUSTED:
            return checks_tlsa ? TlsFailure::tlsa_mismatch : TlsFailure::not_trusted;
        case X509_V_ERR_DANE_NO_MATCH:
            return TlsFailure::tlsa_mismatch;
        default:
            return TlsFailure::validation;
    }
}

}  // namespace

/// A BIO over the connection's own octets. Memory BIOs would copy once more and keep their largest
/// buffer for as long as the connection lives.
struct TlsConnection::Wire {
    static TlsConnection& owner(BIO* bio) {
        return *static_cast<TlsConnection*>(BIO_get_data(bio));
    }
    static int read(BIO* bio, char* to, size_t room, size_t* read) {
        std::string_view& input = owner(bio).input_;
        BIO_clear_retry_flags(bio);
        *read = std::min(room, input.size());
        if (*read == 0) {
            BIO_set_retry_read(bio);
            return 0;
        }
        std::memcpy(to, input.data(), *read);
        input.remove_prefix(*read);
        return 1;
    }
    static int write(BIO* bio, const char* from, size_t size, size_t* written) {
        BIO_clear_retry_flags(bio);
        owner(bio).output_.append(from, size);
        *written = size;
        return 1;
    }
    static long control(BIO*, int command, long, void*) {
        return command == BIO_CTRL_FLUSH ? 1 : 0;
    }
    static int create(BIO* bio) {
        BIO_set_init(bio, 1);
        return 1;
    }
    static const BIO_METHOD* method() {
        static const BIO_METHOD* const made = [] {
            BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "octets");
            BIO_meth_set_read_ex(method, read);
            BIO_meth_set_write_ex(method, write);
            BIO_meth_set_ctrl(method, control);
            BIO_meth_set_create(method, create);
            return method;
        }();
        return made;
    }
};

TlsConnection::TlsConnection(std::shared_ptr<const TlsContext> context)
    : context_(std::move(context)), ssl_(SSL_new(context_->raw())) {
    CHECK(ssl_, "OpenSSL gives no connection: out of memory");
    BIO* wire = BIO_new(Wire::method());
    BIO_set_data(wire, this);
    SSL_set_bio(ssl_, wire, wire);
    SSL_set_app_data(ssl_, this);
    if (context_->side() == TlsContext::Side::client)
        SSL_set_connect_state(ssl_);
    else
        SSL_set_accept_state(ssl_);
}

TlsConnection::~TlsConnection() {
    // A connection that ends without close_notify would take its session with it; a peer that was
    // too polite to wait for ours is no reason not to resume.
    SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl_);
}

void TlsConnection::expect(const std::string& host, const TlsDemand& demand) {
    CHECK(context_->side() == TlsContext::Side::client, "a server expects no host");
    const std::string address = address_of(host);
    checks_tlsa_ = !demand.tlsa.empty();
    if (checks_tlsa_) {
        SSL_dane_enable(ssl_, host.c_str());                        // sets the names, too
        SSL_dane_set_flags(ssl_, DANE_FLAG_NO_DANE_EE_NAMECHECKS);  // RFC 7672 3.1.1
        for (const TlsaRecord& record : demand.tlsa) {
            SSL_dane_tlsa_add(ssl_, record.usage, record.selector, record.matching,
                              reinterpret_cast<const unsigned char*>(record.data.data()),
                              record.data.size());
        }
    } else if (!address.empty()) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), address.c_str());
    } else {
        SSL_set_tlsext_host_name(ssl_, host.c_str());
        SSL_set1_host(ssl_, host.c_str());
    }
    for (const std::string& name : demand.names) SSL_add1_host(ssl_, name.c_str());
    // A name in the subject counts for nobody but DANE-TA any more (RFC 8461 4.2, RFC 7672 3.2.3).
    SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                (checks_tlsa_ ? 0 : X509_CHECK_FLAG_NEVER_CHECK_SUBJECT));
    ERR_clear_error();
}

void TlsConnection::resume(const TlsSession& session) {
    tried_to_resume_ = session && SSL_set_session(ssl_, session.get()) == 1;
    ERR_clear_error();
}

TlsConnection::Progress TlsConnection::judge(int result) {
    switch (SSL_get_error(ssl_, result)) {
        case SSL_ERROR_NONE:
            return Progress::done;
        case SSL_ERROR_WANT_READ:
            return Progress::needs_input;
        case SSL_ERROR_ZERO_RETURN:
            return Progress::ended;
        default:
            error_ = tls_error_words();
            return Progress::failed;
    }
}

TlsConnection::Progress TlsConnection::handshake() {
    ERR_clear_error();
    return judge(SSL_do_handshake(ssl_));
}

TlsConnection::Progress TlsConnection::read(std::string& plain) {
    std::array<char, record_max> record;
    size_t size = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_, record.data(), record.size(), &size);
    plain.assign(record.data(), result == 1 ? size : 0);
    return result == 1 ? Progress::done : judge(result);
}

TlsConnection::Progress TlsConnection::write(std::string_view plain) {
    CHECK(!plain.empty() && plain.size() <= record_max, "not one record's worth of plaintext");
    size_t written = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_, plain.data(), plain.size(), &written);
    return result == 1 ? Progress::done : judge(result);
}

void TlsConnection::say_goodbye() {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
}

TlsResult TlsConnection::result() const {
    TlsResult result{.level = TlsLevel::encrypted,
                     .version = SSL_get_version(ssl_),
                     .cipher = SSL_get_cipher_name(ssl_),
                     .resumed = SSL_session_reused(ssl_) == 1};
    if (context_->side() == TlsContext::Side::server) return result;
    const long verified = SSL_get_verify_result(ssl_);
    if (verified == X509_V_OK) {
        // A resumed session was checked against the same records: they are part of its key.
        const bool matched = checks_tlsa_ && (result.resumed ||
                                              SSL_get0_dane_authority(ssl_, nullptr, nullptr) >= 0);
        if (!checks_tlsa_) result.level = TlsLevel::verified;
        if (matched) result.level = TlsLevel::dane;
        if (checks_tlsa_ && !matched) {
            result.failure = TlsFailure::tlsa_mismatch;
            result.why = "the certificate matches no TLSA record of the host";
        }
        return result;
    }
    result.failure = failure_for(verified, checks_tlsa_);
    result.why = result.failure == TlsFailure::tlsa_mismatch
                     ? "the certificate matches no TLSA record of the host"
                     : std::string("the host's certificate does not hold: ") +
                           X509_verify_cert_error_string(verified);
    return result;
}

TlsConnection& TlsConnection::of(ssl_st* ssl) {
    return *static_cast<TlsConnection*>(SSL_get_app_data(ssl));
}

int TlsConnection::learnt(ssl_session_st* session) {
    if (sessions_.size() >= sessions_learnt_max) return 0;
    sessions_.emplace_back(session);
    return 1;
}

}  // namespace engine

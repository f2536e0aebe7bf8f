#include "engine/net/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "engine/net/tls_sessions.h"
#include "engine/net/tls_words.h"
#include "metrics/check.h"

namespace engine {

namespace {

// Where distributions keep all authorities in one file.
constexpr std::array bundles = {"/etc/ssl/certs/ca-certificates.crt",
                                "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};

std::string system_bundle() {
    if (const char* named = std::getenv("SSL_CERT_FILE")) return named;
    std::error_code ignored;
    for (const char* path : bundles) {
        if (std::filesystem::exists(path, ignored)) return path;
    }
    return {};
}

SSL_CTX* new_context(const SSL_METHOD* method, TlsVersion least) {
    SSL_CTX* context = SSL_CTX_new(method);
    CHECK(context, "OpenSSL gives no context: out of memory, or its configuration is broken");
    SSL_CTX_set_min_proto_version(context,
                                  least == TlsVersion::tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    // 16 KiB each way that an idle connection would keep otherwise.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

}  // namespace

TlsContext::~TlsContext() {
    SSL_CTX_free(context_);
}

Result<std::shared_ptr<const TlsContext>> TlsContext::client(Client options) {
    ERR_clear_error();
    std::shared_ptr<TlsContext> made(
        new TlsContext(new_context(TLS_client_method(), options.least), Side::client));
    SSL_CTX* context = made->context_;
    // Never aborts a handshake: a connection to an unproven host is better than one in the clear,
    // and who demands more looks at the result.
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
    // What the operator names is trusted as it is, an intermediate or a host's own certificate too.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_dane_enable(context);
    TlsSessions::prepare(context);

    const bool own = !options.ca_file.empty();
    const std::string file = own ? std::move(options.ca_file) : system_bundle();
    if (!file.empty() && SSL_CTX_load_verify_file(context, file.c_str()) != 1) {
        return failure(Errc::system, "no certificates of authorities in " + file + ": " +
                                         tls_error_words() + "; give a readable file in PEM");
    }
    const auto* objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
    made->trusted_ = static_cast<size_t>(sk_X509_OBJECT_num(objects));
    ERR_clear_error();
    return made;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::server(Server options) {
    ERR_clear_error();
    std::shared_ptr<TlsContext> made(
        new TlsContext(new_context(TLS_server_method(), options.least), Side::server));
    SSL_CTX* context = made->context_;
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_dh_auto(context, 1);
    // Resumption by tickets only: they cost us no memory, and any shard can open them.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    static constexpr unsigned char name[] = "sluice";
    SSL_CTX_set_session_id_context(context, name, sizeof(name) - 1);

    if (SSL_CTX_use_certificate_chain_file(context, options.certificate.c_str()) != 1) {
        return failure(Errc::system, "no certificate in " + options.certificate + ": " +
                                         tls_error_words() +
                                         "; give a readable file in PEM, the host's own first");
    }
    if (SSL_CTX_use_PrivateKey_file(context, options.key.c_str(), SSL_FILETYPE_PEM) != 1) {
        return failure(Errc::system, "no key for " + options.certificate + " in " + options.key +
                                         ": " + tls_error_words() +
                                         "; give its private key in PEM, unencrypted");
    }
    ERR_clear_error();
    return made;
}

}  // namespace engine

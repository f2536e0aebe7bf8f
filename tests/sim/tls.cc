#include "tests/sim/tls.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <string>

#include "metrics/check.h"
#include "tests/sim/orders.h"
#include "tests/sim/settings_book.h"
#include "tests/storage/support/records.h"

namespace sim {

namespace {

// Longer than any run of this program, and of one length in ASN.1.
constexpr long begins = -86400, ends = 10 * 86400;

X509* make_certificate(EVP_PKEY* key) {
    X509* made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), begins);
    X509_gmtime_adj(X509_getm_notAfter(made), ends);
    X509_set_pubkey(made, key);
    static constexpr unsigned char name[] = "simulated hosts";
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC, name, -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(made));
    std::string names;
    for (int site = 0; site < 4; ++site)
        names +=
            std::string(names.empty() ? "" : ",") + "DNS:*.site" + std::to_string(site) + ".test";
    names += std::string(",DNS:") + SettingsBook::fixed_host + ",DNS:" + OrderBook::relay + ".test";
    X509V3_CTX context;
    X509V3_set_ctx(&context, made, made, nullptr, nullptr, 0);
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, &context, NID_subject_alt_name, names.c_str());
    X509_add_ext(made, extension, -1);
    X509_EXTENSION_free(extension);
    CHECK(X509_sign(made, key, nullptr) > 0, "no certificate for the simulated hosts");
    return made;
}

Tls make() {
    const storage::tests::TemporaryDirectory directory;
    const std::string certificate = directory.path() / "certificate.pem";
    const std::string key_file = directory.path() / "key.pem";
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    X509* made = make_certificate(key);
    std::FILE* out = std::fopen(certificate.c_str(), "w");
    PEM_write_X509(out, made);
    std::fclose(out);
    out = std::fopen(key_file.c_str(), "w");
    PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    X509_free(made);
    EVP_PKEY_free(key);
    auto client = engine::TlsContext::client({.ca_file = certificate});
    auto server = engine::TlsContext::server({.certificate = certificate, .key = key_file});
    CHECK(client && server, "no TLS for the simulation");
    SSL_CTX_set_num_tickets((*server)->raw(), 0);
    return {*client, *server};
}

}  // namespace

const Tls& tls() {
    static const Tls made = make();
    return made;
}

}  // namespace sim

// Certificates made for a test: an authority and what it signs, as PEM files in the test's folder.
#pragma once

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>

namespace engine::test {

struct CertificateFiles {
    std::string certificate, key;
};

/// Keys are P-256, because RSA keys take a second to make.
class Authority {
  public:
    Authority() : key_(EVP_EC_gen("P-256")) {
        certificate_ = make("the test's authority", key_, {.names = "", .is_authority = true});
        file_ = path("ca");
        write_certificate(file_, certificate_);
    }
    ~Authority() {
        X509_free(certificate_);
        EVP_PKEY_free(key_);
    }
    Authority(const Authority&) = delete;
    Authority& operator=(const Authority&) = delete;

    const std::string& file() const { return file_; }
    X509* certificate() const { return certificate_; }

    struct Wanted {
        std::string names;  // of the subject's alternative name: "DNS:mx.x.test,IP:192.0.2.1"
        long from_seconds = -3600, to_seconds = 86400;  // around now
        bool self_signed = false;
        bool is_authority = false;
    };
    CertificateFiles issue(const std::string& common_name, Wanted wanted) const {
        EVP_PKEY* key = EVP_EC_gen("P-256");
        X509* made = make(common_name, key, wanted);
        const CertificateFiles files{path("cert"), path("key")};
        write_certificate(files.certificate, made);
        FILE* out = fopen(files.key.c_str(), "w");
        PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
        fclose(out);
        X509_free(made);
        EVP_PKEY_free(key);
        return files;
    }

    static X509* read(const std::string& file) {
        FILE* in = fopen(file.c_str(), "r");
        X509* certificate = PEM_read_X509(in, nullptr, nullptr, nullptr);
        fclose(in);
        return certificate;
    }
    /// SHA-256 over the public key: the data of a TLSA record 3 1 1.
    static std::string key_digest(X509* certificate) {
        unsigned char* der = nullptr;
        const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
        unsigned char digest[32];
        EVP_Digest(der, static_cast<size_t>(size), digest, nullptr, EVP_sha256(), nullptr);
        OPENSSL_free(der);
        return {reinterpret_cast<char*>(digest), sizeof(digest)};
    }

  private:
    static std::string path(const std::string& what) {
        static std::atomic<int> number{0};
        return ::testing::TempDir() + "/sluice." + std::to_string(getpid()) + "." +
               std::to_string(++number) + "." + what + ".pem";
    }
    static void write_certificate(const std::string& file, X509* certificate) {
        FILE* out = fopen(file.c_str(), "w");
        PEM_write_X509(out, certificate);
        fclose(out);
    }
    X509* make(const std::string& common_name, EVP_PKEY* key, const Wanted& wanted) const {
        static std::atomic<long> serial{1};
        const bool own = wanted.self_signed || !certificate_;
        X509* made = X509_new();
        X509_set_version(made, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(made), serial++);
        X509_gmtime_adj(X509_getm_notBefore(made), wanted.from_seconds);
        X509_gmtime_adj(X509_getm_notAfter(made), wanted.to_seconds);
        X509_set_pubkey(made, key);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(common_name.c_str()), -1,
                                   -1, 0);
        X509_set_issuer_name(made, X509_get_subject_name(own ? made : certificate_));
        const auto extend = [&](int id, const std::string& value) {
            X509V3_CTX context;
            X509V3_set_ctx(&context, own ? made : certificate_, made, nullptr, nullptr, 0);
            X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
            X509_add_ext(made, extension, -1);
            X509_EXTENSION_free(extension);
        };
        if (wanted.is_authority) extend(NID_basic_constraints, "critical,CA:TRUE");
        if (!wanted.names.empty()) extend(NID_subject_alt_name, wanted.names);
        X509_sign(made, own ? key : key_, EVP_sha256());
        return made;
    }

    EVP_PKEY* key_ = nullptr;
    X509* certificate_ = nullptr;
    std::string file_;
};

}  // namespace engine::test

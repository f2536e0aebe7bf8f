// TlsContext: what connections of one kind share: trusted authorities or an own certificate, and
// the versions that are spoken. Immutable, so all shards share one.
#pragma once

#include <memory>
#include <string>

#include "engine/reactor/result.h"

struct ssl_ctx_st;

namespace engine {

enum class TlsVersion : uint8_t { tls12, tls13 };

class TlsContext {
  public:
    /// `ca_file`: authorities that we trust, PEM; empty: the system's bundle, read as a whole now,
    /// because OpenSSL's folder of single files would be read on a shard. A system without one is
    /// no error: then nothing can be verified, and trusted() is 0. Errors: system, with the file.
    struct Client {
        std::string ca_file;
        TlsVersion least = TlsVersion::tls12;
    };
    static Result<std::shared_ptr<const TlsContext>> client(Client options);

    /// `certificate`: PEM, the host's own first and then the chain; `key`: PEM, without a
    /// passphrase. Errors: system, with the file and what is wrong with it.
    struct Server {
        std::string certificate, key;
        TlsVersion least = TlsVersion::tls12;
    };
    static Result<std::shared_ptr<const TlsContext>> server(Server options);

    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;
    ~TlsContext();

    enum class Side : uint8_t { client, server };
    Side side() const { return side_; }
    size_t trusted() const { return trusted_; }  // authorities
    ssl_ctx_st* raw() const { return context_; }

  private:
    TlsContext(ssl_ctx_st* context, Side side) : context_(context), side_(side) {}
    ssl_ctx_st* context_;
    Side side_;
    size_t trusted_ = 0;
};

}  // namespace engine

#include "ingest/secured_stream.h"

#include <string>
#include <utility>

#include "engine/net/tls_stream.h"

namespace ingest {

using engine::Result;
using engine::Stream;
using engine::Task;

namespace {

class SecuredStream final : public Stream {
  public:
    SecuredStream(std::unique_ptr<Stream> below, std::shared_ptr<const engine::TlsContext> context)
        : below_(std::move(below)), tls_(*below_, std::move(context)) {}

    engine::TlsStream& tls() { return tls_; }
    [[clang::coro_wrapper]] Task<Result<std::string_view>> read() override { return tls_.read(); }
    [[clang::coro_wrapper]] Task<Result<void>> write(
        std::span<const std::string_view> chunks) override {
        return tls_.write(chunks);
    }
    void expires_at(engine::Instant deadline) override { tls_.expires_at(deadline); }
    void close() override { tls_.close(); }
    std::string peer() const override { return below_->peer(); }

  private:
    std::unique_ptr<Stream> below_;
    engine::TlsStream tls_;
};

}  // namespace

Task<std::unique_ptr<Stream>> secure_stream(std::unique_ptr<Stream> below,
                                            std::shared_ptr<const engine::TlsContext> context,
                                            engine::Worker* worker, engine::Instant deadline) {
    auto secured = std::make_unique<SecuredStream>(std::move(below), std::move(context));
    secured->expires_at(deadline);
    const Result<void> done = co_await secured->tls().handshake(worker);
    if (!done) co_return std::unique_ptr<Stream>();
    co_return std::unique_ptr<Stream>(std::move(secured));
}

}  // namespace ingest

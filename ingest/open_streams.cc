#include "ingest/open_streams.h"

namespace ingest {

using engine::Result;
using engine::Stream;
using engine::Task;

class OpenStreams::Tracked final : public Stream {
  public:
    Tracked(std::unique_ptr<Stream> inner, std::list<Stream*>& streams)
        : inner_(std::move(inner)),
          streams_(streams),
          place_(streams_.insert(streams_.end(), inner_.get())) {}
    ~Tracked() override { streams_.erase(place_); }

    [[clang::coro_wrapper]] Task<Result<std::string_view>> read() override {
        return inner_->read();
    }
    [[clang::coro_wrapper]] Task<Result<void>> write(
        std::span<const std::string_view> chunks) override {
        return inner_->write(chunks);
    }
    void expires_at(engine::Instant deadline) override { inner_->expires_at(deadline); }
    void close() override { inner_->close(); }
    std::string peer() const override { return inner_->peer(); }

  private:
    std::unique_ptr<Stream> inner_;
    std::list<Stream*>& streams_;
    std::list<Stream*>::iterator place_;
};

std::unique_ptr<Stream> OpenStreams::track(std::unique_ptr<Stream> stream) {
    return std::make_unique<Tracked>(std::move(stream), streams_);
}

void OpenStreams::close_all() {
    for (Stream* stream : streams_) stream->close();
}

}  // namespace ingest

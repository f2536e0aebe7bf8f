#include "engine/net/tcp_stream.h"

#include <array>

#include "metrics/check.h"

namespace engine {

TcpStream::TcpStream(Reactor& reactor, int fd, std::string peer)
    : reactor_(reactor),
      fd_(fd),
      peer_(peer.empty() ? nullptr : std::make_unique<const std::string>(std::move(peer))) {}

TcpStream::~TcpStream() {
    CHECK(!reading_ && !writing_,
          "a stream was destroyed while a task reads from it or writes to it");
    close();
    give_back();
}

std::string TcpStream::peer() const {
    if (peer_) return *peer_;
    const auto asked = fd_ >= 0 ? reactor_.peer_address(fd_) : failure(Errc::closed, "");
    return asked ? asked->to_string() : "unknown";
}

void TcpStream::give_back() {
    if (holds_buffer_) reactor_.release(receive_.buffer);
    holds_buffer_ = false;
}

void TcpStream::close() {
    // The buffer stays: a caller may close while it still looks at the last bytes.
    if (fd_ >= 0) reactor_.close_socket(std::exchange(fd_, -1));
}

Task<Result<std::string_view>> TcpStream::read() {
    CHECK(!reading_, "two tasks read from one stream");
    give_back();
    if (fd_ < 0) co_return failure(Errc::closed, "read: the stream is closed");
    receive_ = Op{.kind = Op::Kind::recv, .fd = fd_, .deadline = deadline_};
    reading_ = true;
    const int result = co_await perform(reactor_, receive_);
    reading_ = false;
    holds_buffer_ = result > 0;
    if (fd_ < 0) co_return failure(Errc::closed, "read: the stream was closed meanwhile");
    if (result == 0) co_return failure(Errc::closed, "read: the peer closed the connection");
    if (result < 0) co_return std::unexpected(error_of(result, "read"));
    co_return reactor_.bytes(receive_);
}

Task<Result<void>> TcpStream::write(std::span<const std::string_view> chunks) {
    CHECK(!writing_, "two tasks write to one stream");
    size_t next = 0;         // chunk
    size_t next_offset = 0;  // in it
    while (true) {
        if (fd_ < 0) co_return failure(Errc::closed, "write: the stream is closed");
        std::array<iovec, chunks_per_send> vectors;
        size_t count = 0;
        for (size_t i = next; i < chunks.size() && count < vectors.size(); ++i) {
            const std::string_view rest = chunks[i].substr(i == next ? next_offset : 0);
            if (!rest.empty()) vectors[count++] = {const_cast<char*>(rest.data()), rest.size()};
        }
        if (count == 0) co_return {};

        Op send{.kind = Op::Kind::send,
                .fd = fd_,
                .chunks = std::span(vectors).first(count),
                .deadline = deadline_};
        writing_ = true;
        const int result = co_await perform(reactor_, send);
        writing_ = false;
        if (fd_ < 0) co_return failure(Errc::closed, "write: the stream was closed meanwhile");
        if (result < 0) co_return std::unexpected(error_of(result, "write"));

        auto taken = static_cast<size_t>(result);
        while (next < chunks.size() && taken >= chunks[next].size() - next_offset) {
            taken -= chunks[next].size() - next_offset;
            ++next;
            next_offset = 0;
        }
        next_offset += taken;
    }
}

}  // namespace engine

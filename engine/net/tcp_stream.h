// TcpStream: a connected socket (TCP or Unix) of a reactor as a Stream.
#pragma once

#include <memory>

#include "engine/net/stream.h"

namespace engine {

class TcpStream final : public Stream {
  public:
    /// Owns `fd`, which came from this reactor. `peer` is for logs; empty: the socket is asked when
    /// somebody wants to know.
    TcpStream(Reactor& reactor, int fd, std::string peer = {});
    TcpStream(const TcpStream&) = delete;
    TcpStream& operator=(const TcpStream&) = delete;
    /// Closes. No read or write may be under way: join the tasks that use it first.
    ~TcpStream() override;

    Task<Result<std::string_view>> read() override;
    void let_go() override { give_back(); }
    Task<Result<void>> write(std::span<const std::string_view> chunks) override;
    void expires_at(Instant deadline) override { deadline_ = deadline; }
    void close() override;
    std::string peer() const override;

  private:
    static constexpr size_t chunks_per_send = 64;

    void give_back();

    // There are tens of thousands of these at rest, and 128 octets are a size that malloc has.
    Reactor& reactor_;
    int fd_;
    bool holds_buffer_ = false;
    bool reading_ = false;
    bool writing_ = false;
    Instant deadline_ = Instant::max();
    Op receive_;  // of the last read(): its buffer holds the bytes that were handed out
    std::unique_ptr<const std::string> peer_;  // null: it was not given
};

}  // namespace engine

// Stream: bytes to and from a peer. TcpStream over the reactor; TlsStream over another Stream;
// ScriptedStream in tests.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"

namespace engine {

class Stream {
  public:
    virtual ~Stream() = default;
    /// Some bytes, valid until the next read(). Errors: timeout, closed (end of stream), reset,
    /// cancelled.
    virtual Task<Result<std::string_view>> read() = 0;
    /// Nobody looks at what read() gave any more: its memory may serve others, however long it
    /// takes until the next one. Not while a read is under way.
    virtual void let_go() {}
    /// All of them, in order. The chunks must stay valid until it returns. A partial write ends in
    /// an error.
    virtual Task<Result<void>> write(std::span<const std::string_view> chunks) = 0;
    virtual void expires_at(Instant deadline) = 0;  // for every operation that starts after this
    virtual void close() = 0;  // at once; what is pending ends with Errc::closed. Idempotent
    virtual std::string peer() const = 0;  // for logs: "192.0.2.1:25"
};

}  // namespace engine

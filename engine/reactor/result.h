// Result and TRY: how what a peer, a disk or the network can cause is passed up.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace engine {

enum class Errc : uint8_t {
    timeout,      // a deadline passed
    closed,       // the peer closed in order, or we closed the stream
    reset,        // the peer or the network cut the connection
    refused,      // nobody listens there
    unreachable,  // no route, or an address that policy forbids
    protocol,     // what came is not the protocol
    cancelled,    // the owner took the operation back
    busy,         // a named limit is reached
    dns,          // a name could not be resolved now
    storage,      // the store refused
    system        // any other errno
};
std::string_view to_string(Errc code);

struct Error {
    Errc code{};
    int os = 0;              // errno, when the kernel said so
    std::string what;        // for the operator; may be empty
};
template <class T> using Result = std::expected<T, Error>;

inline std::unexpected<Error> failure(Errc code, std::string what = {}, int os = 0) {
    return std::unexpected(Error{code, os, std::move(what)});
}
/// Maps -errno of a completed operation.
Error error_of(int negative_errno, std::string_view where);

}  // namespace engine

/// In a coroutine: the value of a Result, or co_return its error. Use it as a statement or as the whole right side of
/// a declaration, never inside a larger expression.
#define TRY(expression)                                                          \
    ({                                                                           \
        auto try_result = (expression);                                          \
        if (!try_result) co_return std::unexpected(std::move(try_result).error()); \
        *std::move(try_result);                                                  \
    })

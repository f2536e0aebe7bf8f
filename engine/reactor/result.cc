#include "engine/reactor/result.h"

#include <cerrno>
#include <cstring>

namespace engine {

std::string_view to_string(Errc code) {
    switch (code) {
        case Errc::timeout:
            return "timeout";
        case Errc::closed:
            return "closed";
        case Errc::reset:
            return "reset";
        case Errc::refused:
            return "refused";
        case Errc::unreachable:
            return "unreachable";
        case Errc::protocol:
            return "protocol";
        case Errc::cancelled:
            return "cancelled";
        case Errc::busy:
            return "busy";
        case Errc::dns:
            return "dns";
        case Errc::storage:
            return "storage";
        case Errc::system:
            return "system";
    }
    return "unknown";
}

namespace {
Errc code_of(int os) {
    switch (os) {
        case ETIME:
        case ETIMEDOUT:
            return Errc::timeout;
        case ECANCELED:
            return Errc::cancelled;
        case EPIPE:
        case ECONNABORTED:
        case ECONNRESET:
            return Errc::reset;
        case ECONNREFUSED:
            return Errc::refused;
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EADDRNOTAVAIL:
        case EACCES:
        case EPERM:
            return Errc::unreachable;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return Errc::busy;
        default:
            return Errc::system;
    }
}
}  // namespace

Error error_of(int negative_errno, std::string_view where) {
    const int os = -negative_errno;
    return {code_of(os), os, std::string(where) + ": " + std::strerror(os)};
}

}  // namespace engine

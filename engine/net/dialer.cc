#include "engine/net/dialer.h"

#include "engine/net/tcp_stream.h"

namespace engine {

Task<Result<std::unique_ptr<Stream>>> dial(Reactor& reactor, SocketAddress to,
                                           const SocketAddress* from, Instant deadline,
                                           Dials* dials) {
    const int fd = TRY(reactor.open_socket(to.family(), from));
    Op connect{.kind = Op::Kind::connect, .fd = fd, .address = &to, .deadline = deadline};
    Dials unheard;
    auto& listed = (dials ? dials : &unheard)->under_way_;
    const auto place = listed.insert(listed.end(), &connect);
    const int result = co_await perform(reactor, connect);
    listed.erase(place);
    if (result < 0) {
        reactor.close_socket(fd);
        co_return std::unexpected(error_of(result, "connect to " + to.to_string()));
    }
    co_return std::make_unique<TcpStream>(reactor, fd);
}

}  // namespace engine

#include "engine/net/egress_proxy.h"

#include <netinet/in.h>

#include <array>
#include <span>
#include <string_view>
#include <utility>

namespace engine {

namespace {

/// The address as the wire has it: 4 or 16 octets.
std::string_view octets_of(const SocketAddress& address) {
    if (address.family() == AF_INET6) {
        const auto& in = reinterpret_cast<const sockaddr_in6*>(address.raw())->sin6_addr;
        return {reinterpret_cast<const char*>(&in), sizeof in};
    }
    const auto& in = reinterpret_cast<const sockaddr_in*>(address.raw())->sin_addr;
    return {reinterpret_cast<const char*>(&in), sizeof in};
}

void append_number(std::string& out, uint16_t number) {
    out += static_cast<char>(number >> 8);
    out += static_cast<char>(number & 0xff);
}

/// A stream whose first octets have come already, behind the proxy's last word.
class BegunStream final : public Stream {
  public:
    BegunStream(std::unique_ptr<Stream> below, std::string first, std::string peer)
        : below_(std::move(below)), first_(std::move(first)), peer_(std::move(peer)) {}

    Task<Result<std::string_view>> read() override {
        if (first_.empty()) co_return co_await below_->read();
        given_ = std::exchange(first_, {});
        co_return std::string_view(given_);
    }
    Task<Result<void>> write(std::span<const std::string_view> chunks) override {
        co_return co_await below_->write(chunks);
    }
    void expires_at(Instant deadline) override { below_->expires_at(deadline); }
    void close() override {
        first_.clear();
        below_->close();
    }
    std::string peer() const override { return peer_; }

  private:
    std::unique_ptr<Stream> below_;
    std::string first_, given_;
    std::string peer_;
};

/// What a SOCKS5 server says, octet by octet as far as it is wanted.
class Answers {
  public:
    explicit Answers(Stream& stream) : stream_(stream) {}

    Task<Result<std::string>> next(size_t count) {
        while (came_.size() < count) came_ += TRY(co_await stream_.read());
        std::string taken = came_.substr(0, count);
        came_.erase(0, count);
        co_return taken;
    }
    std::string rest() { return std::move(came_); }

  private:
    Stream& stream_;
    std::string came_;
};

Task<Result<void>> say(Stream& stream, std::string words) {
    const std::array<std::string_view, 1> chunks{words};
    co_return co_await stream.write(chunks);
}

constexpr char version = 5, connect_command = 1, ipv4 = 1, name = 3, ipv6 = 4;
constexpr char no_log_in = 0, by_password = 2;

/// RFC 1928 6.
Error refusal(char code) {
    switch (code) {
        case 2:
            return {Errc::unreachable, 0, "its rules do not allow the connection"};
        case 3:
            return {Errc::unreachable, 0, "it has no way to the network"};
        case 4:
            return {Errc::unreachable, 0, "it has no way to the host"};
        case 5:
            return {Errc::refused, 0, "the host refused its connection"};
        case 6:
            return {Errc::timeout, 0, "the host did not answer it"};
        case 7:
            return {Errc::protocol, 0, "it does not know CONNECT"};
        case 8:
            return {Errc::unreachable, 0, "it does not know addresses of this family"};
        default:
            return {Errc::unreachable, 0, "it failed, and does not say why"};
    }
}

Task<Result<void>> log_in(Stream& stream, Answers& answers, const EgressProxy& proxy) {
    const bool with_password = !proxy.user.empty();
    TRY(co_await say(stream, with_password ? std::string{version, 2, no_log_in, by_password}
                                           : std::string{version, 1, no_log_in}));
    const std::string method = TRY(co_await answers.next(2));
    if (method[0] != version) co_return failure(Errc::protocol, "it does not speak SOCKS5");
    if (method[1] == no_log_in) co_return Result<void>{};
    if (method[1] != by_password || !with_password)
        co_return failure(Errc::protocol, with_password ? "it takes no user and password"
                                                        : "it wants a user and a password");
    std::string words{1};
    words += static_cast<char>(proxy.user.size());
    words += proxy.user;
    words += static_cast<char>(proxy.password.size());
    words += proxy.password;
    TRY(co_await say(stream, std::move(words)));
    const std::string verdict = TRY(co_await answers.next(2));
    if (verdict[1] != 0) co_return failure(Errc::protocol, "it refuses the user or the password");
    co_return Result<void>{};
}

/// Returns what came behind the proxy's answer: the host's first words.
Task<Result<std::string>> ask_socks5(Stream& stream, const EgressProxy& proxy, SocketAddress to) {
    Answers answers(stream);
    TRY(co_await log_in(stream, answers, proxy));
    std::string words{version, connect_command, 0, to.family() == AF_INET6 ? ipv6 : ipv4};
    words += octets_of(to);
    append_number(words, to.port());
    TRY(co_await say(stream, std::move(words)));
    const std::string head = TRY(co_await answers.next(4));
    if (head[0] != version) co_return failure(Errc::protocol, "its answer is not SOCKS5");
    if (head[1] != 0) co_return std::unexpected(refusal(head[1]));
    // The address that it connects from: of no use here, but in the way.
    size_t more = head[3] == ipv6 ? 16 : 4;
    if (head[3] == name) {
        const std::string length = TRY(co_await answers.next(1));
        more = static_cast<unsigned char>(length[0]);
    }
    TRY(co_await answers.next(more + 2));
    co_return answers.rest();
}

/// Version 2 of the protocol: https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt, 2.2.
std::string proxy_header(const std::optional<SocketAddress>& from, const SocketAddress& to) {
    constexpr std::string_view signature("\r\n\r\n\0\r\nQUIT\n", 12);
    constexpr char proxied = 0x21, tcp4 = 0x11, tcp6 = 0x21;
    const bool six = to.family() == AF_INET6;
    std::string header(signature);
    header += proxied;
    header += six ? tcp6 : tcp4;
    append_number(header, six ? 36 : 12);
    header += from ? std::string(octets_of(*from)) : std::string(six ? 16 : 4, '\0');
    header += octets_of(to);
    append_number(header, 0);  // the port is the proxy's choice
    append_number(header, to.port());
    return header;
}

}  // namespace

Task<Result<std::unique_ptr<Stream>>> dial_through(Reactor& reactor, EgressProxy proxy,
                                                   SocketAddress to,
                                                   std::optional<SocketAddress> from,
                                                   Instant deadline, Dials* dials) {
    const auto wrong = [&](Error error) {
        return std::unexpected(
            Error{error.code, error.os, "proxy " + proxy.address + ": " + error.what});
    };
    const auto address = SocketAddress::parse(proxy.address);
    if (!address) co_return wrong({Errc::unreachable, 0, "this is no address"});
    Dials unheard;
    if (!dials) dials = &unheard;
    auto stream = co_await dial(reactor, *address, nullptr, deadline, dials);
    if (!stream) co_return wrong(std::move(stream.error()));
    const Dials::AtProxy listed(*dials, **stream);
    (*stream)->expires_at(deadline);
    std::string first;
    if (proxy.kind == EgressProxy::Kind::haproxy) {
        const auto said = co_await say(**stream, proxy_header(from, to));
        if (!said) co_return wrong(said.error());
    } else {
        auto answered = co_await ask_socks5(**stream, proxy, to);
        if (!answered) co_return wrong(std::move(answered.error()));
        first = std::move(*answered);
    }
    co_return std::make_unique<BegunStream>(std::move(*stream), std::move(first), to.to_string());
}

}  // namespace engine

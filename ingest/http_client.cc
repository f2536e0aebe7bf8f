#include "ingest/http_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "engine/reactor/address.h"

namespace ingest {

namespace {
namespace http = boost::beast::http;
constexpr size_t read_bytes = 64 << 10;
constexpr size_t header_bytes_max = 64 << 10;

class Socket {
  public:
    explicit Socket(int fd) : fd_(fd) {}
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() {
        if (fd_ >= 0) close(fd_);
    }
    int fd() const { return fd_; }

  private:
    int fd_;
};

std::string cannot_reach(const std::string& server, int os) {
    const bool absent = os == ECONNREFUSED || os == ENOENT;
    return fmt::format("cannot reach sluice at {}: {}{}", server, std::strerror(os),
                       absent ? "; start `sluice serve`, or name its address with --server" : "");
}

/// One exchange over a connected socket. Both directions are served by one poll loop.
class Exchange {
  public:
    Exchange(int fd, const HttpCall& call) : fd_(fd), call_(call) {
        parser_.eager(true);
        parser_.body_limit(boost::none);
        parser_.header_limit(header_bytes_max);
        if (call.method == "HEAD") parser_.skip(true);
    }

    std::expected<HttpReply, std::string> run() {
        out_ = head();
        if (!call_.next_piece) {
            out_ += call_.body;
            body_done_ = true;
        }
        while (!parser_.is_done()) {
            refill();
            const int ready = wait();
            if (ready < 0) return std::unexpected(cannot_reach(call_.server, errno));
            if (ready == 0) {
                return std::unexpected(
                    fmt::format("sluice at {} has been silent for {} s; look at its log",
                                call_.server, call_.silence_max.count()));
            }
            if (events_ & POLLOUT) send_some();
            if (events_ & (POLLIN | POLLHUP | POLLERR)) {
                if (auto failed = receive_some()) return std::unexpected(std::move(*failed));
            }
        }
        HttpReply reply{.status = static_cast<int>(parser_.get().result_int()),
                        .body = std::move(gathered_)};
        for (const auto& field : parser_.get()) {
            reply.fields.emplace_back(std::string(field.name_string()), std::string(field.value()));
        }
        return reply;
    }

  private:
    std::string head() const {
        std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\n",
                                       call_.method, call_.target);
        // Not an option: options can be seen by everybody on the host.
        if (const char* key = std::getenv("SLUICE_API_KEY"))
            text += fmt::format("Authorization: Bearer {}\r\n", key);
        for (const auto& [name, value] : call_.fields)
            text += fmt::format("{}: {}\r\n", name, value);
        if (call_.next_piece) {
            text += "Transfer-Encoding: chunked\r\n";
        } else if (!call_.body.empty() || call_.method == "POST") {
            text += fmt::format("Content-Length: {}\r\n", call_.body.size());
        }
        return text + "\r\n";
    }

    void refill() {
        if (body_done_ || sent_ < out_.size()) return;
        const std::string piece = call_.next_piece();
        out_ = piece.empty() ? "0\r\n\r\n" : fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
        sent_ = 0;
        body_done_ = piece.empty();
    }

    int wait() {
        pollfd entry{fd_, POLLIN, 0};
        if (sent_ < out_.size()) entry.events |= POLLOUT;
        const auto limit =
            std::chrono::duration_cast<std::chrono::milliseconds>(call_.silence_max).count();
        int ready = 0;
        do {
            ready = poll(&entry, 1, static_cast<int>(limit));
        } while (ready < 0 && errno == EINTR);
        events_ = entry.revents;
        return ready;
    }

    void send_some() {
        const ssize_t n =
            send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            sent_ += static_cast<size_t>(n);
        } else if (errno != EAGAIN && errno != EINTR) {
            // The server has heard enough, and its answer says why: read on.
            body_done_ = true;
            sent_ = out_.size();
        }
    }

    std::optional<std::string> receive_some() {
        const size_t had = in_.size();
        in_.resize(had + read_bytes);
        const ssize_t n = recv(fd_, in_.data() + had, read_bytes, MSG_DONTWAIT);
        in_.resize(had + static_cast<size_t>(std::max<ssize_t>(n, 0)));
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
        boost::system::error_code error;
        if (n <= 0) {
            parser_.put_eof(error);
            if (error || !parser_.is_done()) {
                return fmt::format("sluice at {} ended the connection before its answer was whole",
                                   call_.server);
            }
            return std::nullopt;
        }
        const size_t used = parser_.put(boost::asio::buffer(in_), error);
        in_.erase(0, used);
        if (error && error != http::error::need_more) {
            return fmt::format("what listens at {} does not speak HTTP ({})", call_.server,
                               error.message());
        }
        return take_body();
    }

    std::optional<std::string> take_body() {
        if (!parser_.is_header_done()) return std::nullopt;
        std::string piece = std::exchange(parser_.get().body(), {});
        const unsigned status = parser_.get().result_int();
        if (call_.on_body && status >= 200 && status < 300) {
            if (!piece.empty()) call_.on_body(piece);
            return std::nullopt;
        }
        gathered_ += piece;
        if (gathered_.size() <= HttpReply::body_bytes_max) return std::nullopt;
        return fmt::format("the answer of {} is larger than {} bytes", call_.server,
                           HttpReply::body_bytes_max);
    }

    int fd_;
    const HttpCall& call_;
    http::response_parser<http::string_body> parser_;
    std::string out_, in_, gathered_;
    size_t sent_ = 0;
    bool body_done_ = false;
    int events_ = 0;
};
}  // namespace

std::string_view HttpReply::field(std::string_view name) const {
    for (const auto& [known, value] : fields) {
        if (known == name) return value;
    }
    return {};
}

std::expected<HttpReply, std::string> call(const HttpCall& call) {
    std::string text = call.server;
    if (text.starts_with("http://")) text.erase(0, 7);
    if (text.ends_with('/')) text.pop_back();
    const auto address = engine::SocketAddress::parse(text);
    if (!address) {
        return std::unexpected(fmt::format(
            "'{}' is no address of a server; write unix:/path or ip:port", call.server));
    }
    const Socket socket(::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (socket.fd() < 0 || connect(socket.fd(), address->raw(), address->size) != 0) {
        return std::unexpected(cannot_reach(call.server, errno));
    }
    return Exchange(socket.fd(), call).run();
}

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = std::isalnum(byte) || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            out += c;
        } else {
            fmt::format_to(std::back_inserter(out), "%{:02X}", byte);
        }
    }
    return out;
}

}  // namespace ingest

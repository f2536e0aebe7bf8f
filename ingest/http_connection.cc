#include "ingest/http_connection.h"

#include <fmt/format.h>

#include <array>
#include <boost/beast/http/parser.hpp>

#include "ingest/api_error.h"
#include "metrics/check.h"

namespace ingest {

namespace http = boost::beast::http;
using engine::Errc;
using engine::Instant;
using engine::Result;
using engine::Task;

namespace {

/// A body that is not kept: each piece is a view of the parser's input.
struct PieceBody {
    struct value_type {
        std::string_view piece;
    };
    class reader {
      public:
        template <bool isRequest, class Fields>
        reader(http::header<isRequest, Fields>&, value_type& value) : value_(value) {}
        void init(const boost::optional<uint64_t>&, boost::beast::error_code& error) { error = {}; }
        template <class Buffers>
        size_t put(const Buffers& buffers, boost::beast::error_code& error) {
            const boost::asio::const_buffer first = *boost::asio::buffer_sequence_begin(buffers);
            value_.piece = {static_cast<const char*>(first.data()), first.size()};
            error = {};
            return first.size();
        }
        void finish(boost::beast::error_code& error) { error = {}; }

      private:
        value_type& value_;
    };
};

std::string_view reason(int status) {
    const auto text = http::obsolete_reason(static_cast<http::status>(status));
    return {text.data(), text.size()};
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// What is no escape stays as it is; the reader of the value refuses what it cannot use.
std::string percent_decoded(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
            hex_digit(text[i + 2]) >= 0) {
            out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

void split_target(std::string_view target, HttpRequest& request) {
    const size_t mark = target.find('?');
    request.path = percent_decoded(target.substr(0, mark));
    if (mark == std::string_view::npos) return;
    std::string_view rest = target.substr(mark + 1);
    request.raw_query = rest;
    while (!rest.empty()) {
        const size_t end = std::min(rest.find('&'), rest.size());
        const std::string_view pair = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (pair.empty()) continue;
        const size_t equals = std::min(pair.find('='), pair.size());
        request.query.emplace_back(percent_decoded(pair.substr(0, equals)),
                                   percent_decoded(pair.substr(std::min(equals + 1, pair.size()))));
    }
}

}  // namespace

std::string_view HttpRequest::field(std::string_view lower_case_name) const {
    for (const auto& [name, value] : fields) {
        if (name == lower_case_name) return value;
    }
    return {};
}

std::optional<std::string_view> HttpRequest::parameter(std::string_view name) const {
    for (const auto& [key, value] : query) {
        if (key == name) return value;
    }
    return std::nullopt;
}

std::string HttpRequest::media_type() const {
    std::string_view type = field("content-type");
    type = type.substr(0, type.find(';'));
    while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
    return lower(type);
}

struct HttpConnection::Parser {
    http::request_parser<PieceBody> beast;
};

HttpConnection::HttpConnection(std::unique_ptr<engine::Stream> stream, const engine::Clock& clock,
                               const bool& draining)
    : stream_(std::move(stream)), clock_(clock), draining_(draining) {}

HttpConnection::~HttpConnection() {
    stream_->close();
}

void HttpConnection::consume(size_t bytes) {
    at_ += bytes;
    if (at_ == in_.size()) {
        in_.clear();
        at_ = 0;
    }
}

/// At least one more byte at the end of in_. `cancelled` means that a stop was noticed while
/// nothing came.
Task<Result<void>> HttpConnection::fill(Instant deadline) {
    while (true) {
        stream_->expires_at(std::min<Instant>(deadline, clock_.now() + HttpLimits::drain_check));
        const auto bytes = co_await stream_->read();
        if (bytes) {
            in_.erase(0, at_);
            at_ = 0;
            in_.append(*bytes);
            co_return {};
        }
        if (bytes.error().code != Errc::timeout) {
            broken_ = true;
            co_return std::unexpected(bytes.error());
        }
        if (clock_.now() >= deadline) co_return engine::failure(Errc::timeout);
        if (draining_) co_return engine::failure(Errc::cancelled);
    }
}

/// Bytes of the next header with its empty line; nullopt when the connection is over.
Task<std::optional<size_t>> HttpConnection::find_header() {
    Instant deadline = clock_.now() + HttpLimits::idle;
    bool begun = false;
    // What a peer sent before it could know of a stop still gets an answer.
    bool looked = parser_ != nullptr;
    while (true) {
        while (unread().starts_with("\r\n"))
            consume(2);  // RFC 9112 2.2: an empty line before a request is ignored
        const size_t end = unread().substr(0, HttpLimits::header_bytes_max).find("\r\n\r\n");
        if (end != std::string_view::npos) co_return end + 4;
        if (unread().size() >= HttpLimits::header_bytes_max) {
            co_await reject(
                431, "http.header_too_large",
                fmt::format("the header is over {} bytes", HttpLimits::header_bytes_max));
            co_return std::nullopt;
        }
        if (!begun && !unread().empty()) {
            begun = true;
            deadline = clock_.now() + HttpLimits::header;
        }
        if (!begun && draining_ && looked) co_return std::nullopt;
        looked = true;
        const auto filled = co_await fill(deadline);
        if (filled || filled.error().code == Errc::cancelled) continue;
        if (begun && filled.error().code == Errc::timeout) {
            co_await reject(408, "http.timeout", "the header did not come in time");
        }
        co_return std::nullopt;
    }
}

Task<> HttpConnection::reject(int status, std::string_view code, std::string_view message) {
    keep_alive_ = false;
    body_done_ = false;
    answered_ = is_head_ = http_1_0_ = false;
    co_await answer(to_answer(status, {std::string(code), std::string(message), {}, {}}));
    co_await linger();
}

Task<std::optional<HttpRequest>> HttpConnection::next() {
    const auto header_bytes = co_await find_header();
    if (!header_bytes) co_return std::nullopt;

    parser_ = std::make_unique<Parser>();
    auto& beast = parser_->beast;
    beast.header_limit(HttpLimits::header_bytes_max);
    beast.body_limit(UINT64_MAX);  // whoever reads the body knows its limit
    boost::beast::error_code error;
    size_t taken = 0;
    while (!error && !beast.is_header_done() && taken < *header_bytes) {
        taken += beast.put(
            boost::asio::const_buffer(unread().data() + taken, *header_bytes - taken), error);
    }
    if (error || !beast.is_header_done()) {
        const std::string why = error ? error.message() : "the header ends too early";
        co_await reject(400, "http.malformed", "this is not an HTTP/1.1 request: " + why);
        co_return std::nullopt;
    }
    consume(taken);

    HttpRequest request;
    input_ended_ = clock_.now();
    const auto& message = beast.get();
    const auto view = [](const auto& text) { return std::string_view(text.data(), text.size()); };
    request.method = view(message.method_string());
    for (const auto& field : message) {
        request.fields.emplace_back(lower(view(field.name_string())), view(field.value()));
    }
    split_target(view(message.target()), request);
    if (const auto length = beast.content_length()) request.content_length = *length;
    is_head_ = request.method == "HEAD";
    http_1_0_ = message.version() < 11;
    keep_alive_ = beast.keep_alive();
    body_done_ = beast.is_done() || (!beast.chunked() && request.content_length.value_or(0) == 0);
    answered_ = chunked_answer_ = false;
    const std::string expect = lower(request.field("expect"));
    expects_continue_ = expect == "100-continue" && !http_1_0_ && !body_done_;

    if (!http_1_0_ && request.field("host").empty() &&
        std::ranges::none_of(request.fields, [](const auto& f) { return f.first == "host"; })) {
        co_await reject(400, "http.malformed", "an HTTP/1.1 request needs a Host field");
        co_return std::nullopt;
    }
    // Anything but plain "chunked" could mean another length to a proxy in front of us.
    if (const auto coding = request.field("transfer-encoding");
        !coding.empty() && lower(coding) != "chunked") {
        co_await reject(501, "http.transfer_encoding",
                        "only the transfer encoding \"chunked\" is known");
        co_return std::nullopt;
    }
    if (!expect.empty() && expect != "100-continue") {
        co_await reject(417, "http.expectation", "only \"Expect: 100-continue\" is known");
        co_return std::nullopt;
    }
    co_return request;
}

Task<std::expected<std::string_view, BodyCut>> HttpConnection::read_body() {
    CHECK(parser_ != nullptr, "a body was asked for before a request came");
    auto& beast = parser_->beast;
    const Instant deadline = clock_.now() + HttpLimits::body_gap;
    while (!body_done_) {
        if (!unread().empty()) {
            beast.get().body().piece = {};
            boost::beast::error_code error;
            const size_t taken =
                beast.put(boost::asio::const_buffer(unread().data(), unread().size()), error);
            const std::string_view piece =
                beast.get().body().piece;  // a view of in_, which consume() leaves in place
            at_ += taken;
            input_ended_ = clock_.now();
            if (beast.is_done()) body_done_ = true;
            if (error && error != http::error::need_more) {
                keep_alive_ = false;
                co_return std::unexpected(BodyCut{
                    400, "http.malformed", "the body is not well chunked: " + error.message(), {}});
            }
            if (!piece.empty()) co_return piece;
            if (!error) continue;
            if (unread().size() > HttpLimits::header_bytes_max) {
                keep_alive_ = false;
                co_return std::unexpected(
                    BodyCut{400, "http.malformed", "a chunk's header is too long", {}});
            }
        } else if (expects_continue_) {
            expects_continue_ = false;
            co_await write("HTTP/1.1 100 Continue\r\n\r\n", {});
            if (broken_) co_return std::unexpected(BodyCut{});
        }
        expects_continue_ = false;
        const auto filled = co_await fill(deadline);
        if (filled) continue;
        keep_alive_ = false;
        switch (filled.error().code) {
            case Errc::timeout:
                co_return std::unexpected(
                    BodyCut{408, "http.timeout", "the rest of the body did not come in time", {}});
            case Errc::cancelled:
                co_return std::unexpected(
                    BodyCut{503, "node.draining", "this node is stopping",
                            "send the request again, to another node or in a minute"});
            default:
                co_return std::unexpected(BodyCut{});
        }
    }
    co_return std::string_view{};
}

Task<std::expected<std::string, BodyCut>> HttpConnection::read_whole_body(size_t bytes_max) {
    const auto too_large = [&] {
        return std::unexpected(
            BodyCut{413, "request.too_large", fmt::format("the body is over {} bytes", bytes_max),
                    "send many recipients as application/x-ndjson, which has no limit"});
    };
    const Instant deadline = clock_.now() + HttpLimits::body;
    const uint64_t announced = body_done_ ? 0 : parser_->beast.content_length().value_or(0);
    if (announced > bytes_max) co_return too_large();
    std::string body;
    // A claim costs a sender nothing, so it alone does not make us hold much memory.
    body.reserve(std::min<uint64_t>(announced, 1 << 20) + 64);
    while (true) {
        const auto piece = co_await read_body();
        if (!piece) co_return std::unexpected(piece.error());
        if (piece->empty()) co_return body;
        if (body.size() + piece->size() > bytes_max) co_return too_large();
        body.append(*piece);
        if (clock_.now() > deadline) {
            co_return std::unexpected(
                BodyCut{408, "http.timeout", "the body did not come in time", {}});
        }
    }
}

std::string HttpConnection::head(int status, std::string_view content_type,
                                 const HttpAnswer* answer) {
    if (keep_alive_ && !body_done_) {
        const auto left = parser_->beast.content_length_remaining();
        keep_alive_ = left && *left <= HttpLimits::discard_bytes_max && !expects_continue_;
    }
    if (draining_) keep_alive_ = false;
    std::string out =
        fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\n", status, reason(status), content_type);
    if (answer) {
        fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", answer->body.size());
        for (const auto& [name, value] : answer->fields) {
            fmt::format_to(std::back_inserter(out), "{}: {}\r\n", name, value);
        }
    } else if (http_1_0_) {
        keep_alive_ = false;  // HTTP/1.0 knows no chunks: the close ends the answer
    } else {
        out += "Transfer-Encoding: chunked\r\n";
        chunked_answer_ = true;
    }
    if (!keep_alive_) {
        out += "Connection: close\r\n";
    } else if (http_1_0_) {
        out += "Connection: keep-alive\r\n";
    }
    return out += "\r\n";
}

Task<> HttpConnection::write(std::string_view first, std::string_view second) {
    if (broken_) co_return;
    const std::array<std::string_view, 2> chunks{first, second};
    stream_->expires_at(clock_.now() + HttpLimits::write);
    const auto written = co_await stream_->write(std::span(chunks).first(second.empty() ? 1 : 2));
    if (!written) broken_ = true;
}

Task<> HttpConnection::answer(HttpAnswer answer) {
    CHECK(!answered_, "a request was answered twice");
    answered_ = true;
    const std::string first = head(answer.status, answer.content_type, &answer);
    co_await write(first, is_head_ ? std::string_view{} : std::string_view(answer.body));
}

Task<> HttpConnection::begin_stream(int status, std::string_view content_type) {
    CHECK(!answered_, "a request was answered twice");
    answered_ = true;
    const std::string first = head(status, content_type, nullptr);
    co_await write(first, {});
}

Task<> HttpConnection::stream(std::string_view piece) {
    if (piece.empty() || is_head_) co_return;  // an empty chunk would end the answer
    if (!chunked_answer_) {
        co_await write(piece, {});
        co_return;
    }
    std::string chunk = fmt::format("{:x}\r\n", piece.size());
    chunk.append(piece).append("\r\n");
    co_await write(chunk, {});
}

Task<> HttpConnection::end_stream() {
    if (chunked_answer_ && !is_head_) co_await write("0\r\n\r\n", {});
}

Task<> HttpConnection::linger() {
    // Closing with unread input makes the kernel send a reset, which may overtake the answer.
    const Instant deadline = clock_.now() + HttpLimits::linger;
    size_t dropped = 0;
    while (!broken_ && dropped < HttpLimits::linger_bytes_max) {
        in_.clear();
        at_ = 0;
        stream_->expires_at(deadline);
        const auto bytes = co_await stream_->read();
        if (!bytes) break;
        dropped += bytes->size();
    }
    broken_ = true;
}

Task<bool> HttpConnection::settle() {
    CHECK(answered_ || broken_, "a request was not answered");
    while (!broken_ && keep_alive_ && !body_done_) {
        const auto piece = co_await read_body();
        if (!piece) break;
    }
    if (broken_) co_return false;
    if (keep_alive_) co_return true;
    if (!body_done_ || !unread().empty()) co_await linger();
    co_return false;
}

}  // namespace ingest

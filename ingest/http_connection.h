// One HTTP/1.1 connection over any Stream: requests in, answers out, in order. Knows no paths and
// no mail. Boost.Beast parses; the bytes come from and go to engine::Stream.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/net/stream.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"

namespace ingest {

struct HttpLimits {
    static constexpr size_t header_bytes_max = 16 << 10;
    static constexpr size_t discard_bytes_max =
        256 << 10;  // of a body nobody asked for, to keep the connection
    static constexpr size_t linger_bytes_max = 1 << 20;  // read and dropped before a close
    static constexpr std::chrono::seconds idle{60};      // between requests
    static constexpr std::chrono::seconds header{30};    // a whole header
    static constexpr std::chrono::seconds body_gap{60};  // between two pieces of a body
    static constexpr std::chrono::seconds body{600};     // a whole body that is kept in memory
    static constexpr std::chrono::seconds write{60};     // one piece of an answer taken by the peer
    static constexpr std::chrono::seconds linger{2};
    static constexpr std::chrono::seconds drain_check{
        1};  // a waiting connection notices a stop within this
};

struct HttpRequest {
    std::string method;  // as sent: "GET"
    std::string path;    // percent-decoded, without query
    std::string raw_query;
    std::vector<std::pair<std::string, std::string>>
        query;  // percent-decoded, in order; '+' stays '+'
    std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
    std::optional<uint64_t> content_length;                   // unknown when chunked
    std::string tenant;  // whose key came with it; empty: nobody's, and it may speak for all

    /// Empty when there is none.
    std::string_view field(std::string_view lower_case_name) const;
    std::optional<std::string_view> parameter(std::string_view name) const;
    /// "application/json" of "Application/JSON; charset=utf-8".
    std::string media_type() const;
};

struct HttpAnswer {
    int status = 200;
    std::string body;
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> fields{};  // further ones, such as Retry-After
};

/// Why no more of a body comes. `status` 0: the peer is gone, nobody reads an answer.
struct BodyCut {
    int status = 0;
    std::string code, message, hint;
};

class HttpConnection {
  public:
    /// `draining` is looked at while waiting: an idle connection closes, a request in hand still
    /// ends.
    HttpConnection(std::unique_ptr<engine::Stream> stream, const engine::Clock& clock,
                   const bool& draining);
    ~HttpConnection();

    /// The next request; nullopt when the connection is over. What is not HTTP is answered and
    /// ended in here.
    engine::Task<std::optional<HttpRequest>> next();

    /// The next piece of the body, valid until the next call; empty at its end. Sends 100-continue
    /// when it is waited for.
    engine::Task<std::expected<std::string_view, BodyCut>> read_body();
    /// The whole body. More than `bytes_max` is a cut with 413, before it is read when the length
    /// is known.
    engine::Task<std::expected<std::string, BodyCut>> read_whole_body(size_t bytes_max);

    engine::Task<> answer(HttpAnswer answer);
    /// An answer that is sent as it grows. Reading the body may go on meanwhile, in another
    /// coroutine.
    engine::Task<> begin_stream(int status, std::string_view content_type);
    engine::Task<> stream(std::string_view piece);
    engine::Task<> end_stream();
    engine::Instant input_ended() const {
        return input_ended_;
    }  // the last byte of header or body came
    bool broken() const { return broken_; }  // the peer is gone: writing is in vain

    /// Ends the exchange: drops a small rest of the body, or closes. False when the connection is
    /// over.
    engine::Task<bool> settle();
    std::string peer() const { return stream_->peer(); }

  private:
    struct Parser;

    engine::Task<engine::Result<void>> fill(engine::Instant deadline);
    engine::Task<std::optional<size_t>> find_header();
    engine::Task<> reject(int status, std::string_view code, std::string_view message);
    std::string head(int status, std::string_view content_type, const HttpAnswer* answer);
    engine::Task<> write(std::string_view first, std::string_view second);
    engine::Task<> linger();
    std::string_view unread() const { return std::string_view(in_).substr(at_); }
    void consume(size_t bytes);

    std::unique_ptr<engine::Stream> stream_;
    const engine::Clock& clock_;
    const bool& draining_;
    std::string in_;  // what came and is not consumed begins at at_
    size_t at_ = 0;
    std::unique_ptr<Parser> parser_;  // of the request in hand
    engine::Instant input_ended_{};
    bool body_done_ = true;
    bool expects_continue_ = false;
    bool is_head_ = false;
    bool http_1_0_ = false;
    bool keep_alive_ = true;
    bool answered_ = false;
    bool chunked_answer_ = false;
    bool broken_ = false;
};

}  // namespace ingest

// A blocking HTTP/1.1 client for the command line: one call, one connection. Sends a body as it is
// produced and hands out the answer as it comes, both at once, so that a long submission and its
// growing answer cannot block each other.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingest {

struct HttpCall {
    std::string server;  // "unix:/path", "127.0.0.1:8025" or "http://127.0.0.1:8025"
    std::string method = "GET";
    std::string target;  // path and query, percent-encoded
    std::vector<std::pair<std::string, std::string>> fields{};
    std::string body{};
    /// Instead of `body`: asked for the next piece until one is empty. May block.
    std::function<std::string()> next_piece{};
    /// Gets the body of a 2xx answer piece by piece; without it, it is gathered in HttpReply::body.
    std::function<void(std::string_view)> on_body{};
    std::chrono::seconds silence_max{60};  // the server may be silent for so long
};

struct HttpReply {
    static constexpr size_t body_bytes_max = 64 << 20;  // of one that is gathered
    int status = 0;
    std::string body;
    std::vector<std::pair<std::string, std::string>> fields;
    std::string_view field(std::string_view name) const;  // as the server writes it; empty: none
    bool ok() const { return status >= 200 && status < 300; }
};

/// The error is a sentence for people: what failed and how to mend it. A cut answer is an error,
/// whatever came of it.
std::expected<HttpReply, std::string> call(const HttpCall& call);

std::string percent_encoded(std::string_view text);  // for a value in a query

}  // namespace ingest

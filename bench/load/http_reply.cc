#include "bench/load/http_reply.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace load {
namespace {

bool same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

bool HttpReply::take(std::string& input) {
    for (;;) {
        switch (state_) {
            case State::head: {
                size_t end = input.find("\r\n\r\n");
                if (end == std::string::npos) return input.size() <= head_octets_max;
                if (!read_head(input.substr(0, end + 2))) return false;
                input.erase(0, end + 4);
                if (status_ == 100) state_ = State::head;
                break;
            }
            case State::fixed:
            case State::chunk: {
                size_t count = std::min<uint64_t>(left_, input.size());
                body_.append(input, 0, count);
                input.erase(0, count);
                left_ -= count;
                if (left_ > 0) return true;
                state_ = state_ == State::fixed ? State::complete : State::chunk_end;
                break;
            }
            case State::chunk_size: {
                size_t end = input.find("\r\n");
                if (end == std::string::npos) return input.size() <= 1024;
                auto [after, error] = std::from_chars(input.data(), input.data() + end, left_, 16);
                if (error != std::errc()) return false;
                input.erase(0, end + 2);
                state_ = left_ == 0 ? State::trailer : State::chunk;
                break;
            }
            case State::chunk_end:
                if (input.size() < 2) return true;
                if (!input.starts_with("\r\n")) return false;
                input.erase(0, 2);
                state_ = State::chunk_size;
                break;
            case State::trailer: {
                size_t end = input.find("\r\n");
                if (end == std::string::npos) return input.size() <= head_octets_max;
                input.erase(0, end + 2);
                if (end == 0) state_ = State::complete;
                break;
            }
            case State::complete:
                return true;
        }
    }
}

bool HttpReply::read_head(const std::string& head) {
    std::string_view rest(head);
    if (!rest.starts_with("HTTP/1.1 ") || rest.size() < 12) return false;
    status_ = unsigned(std::atoi(head.c_str() + 9));
    left_ = 0;
    state_ = State::fixed;
    rest.remove_prefix(rest.find("\r\n") + 2);
    while (!rest.empty()) {
        auto line = rest.substr(0, rest.find("\r\n"));
        rest.remove_prefix(line.size() + 2);
        size_t colon = line.find(':');
        if (colon == std::string_view::npos) return false;
        auto name = line.substr(0, colon);
        std::string value(line.substr(colon + 1));
        value.erase(0, value.find_first_not_of(' '));
        if (same(name, "content-length")) left_ = std::strtoull(value.c_str(), nullptr, 10);
        if (same(name, "transfer-encoding") && same(value, "chunked")) state_ = State::chunk_size;
        if (same(name, "retry-after")) retry_after_ = std::strtod(value.c_str(), nullptr);
        if (same(name, "connection")) closes_ = same(value, "close");
    }
    return true;
}

}  // namespace load

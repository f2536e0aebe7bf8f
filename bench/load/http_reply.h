// Reads HTTP/1.1 responses from a stream of octets: the little that the load generator needs.
#pragma once
#include <cstdint>
#include <string>

namespace load {

class HttpReply {
  public:
    static constexpr size_t head_octets_max = 64 * 1024;

    /// Takes what belongs to this response from the front of `input`; body() grows as octets come.
    /// False: this is no HTTP response.
    bool take(std::string& input);

    bool complete() const { return state_ == State::complete; }
    bool has_head() const { return state_ != State::head; }
    unsigned status() const { return status_; }
    double retry_after_seconds() const { return retry_after_; }
    bool closes() const { return closes_; }

    /// What has come of the body; the reader may take octets away.
    std::string& body() { return body_; }

  private:
    enum class State : uint8_t { head, fixed, chunk_size, chunk, chunk_end, trailer, complete };

    bool read_head(const std::string& head);

    State state_ = State::head;
    unsigned status_ = 0;
    uint64_t left_ = 0;
    double retry_after_ = 0;
    bool closes_ = false;
    std::string body_;
};

}  // namespace load

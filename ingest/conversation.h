// A conversation over a Stream, as people read it: every line of both sides with its time. For
// `sluice send`.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/net/stream.h"

namespace ingest {

struct SpokenLine {
    enum class Side : uint8_t { client, server };
    Side side{};
    std::string text;                // printable; content is summed up in one line
    std::chrono::microseconds at{};  // since the conversation began
};

/// Makes lines out of the bytes of an SMTP conversation. Content (after 354, or of BDAT) becomes
/// "(content: 12 lines, 345 bytes)".
class Conversation {
  public:
    using Heard = std::function<void(const SpokenLine&)>;
    explicit Conversation(Heard heard) : heard_(std::move(heard)) {}

    void client_says(std::string_view bytes, std::chrono::microseconds at);
    void server_says(std::string_view bytes, std::chrono::microseconds at);
    const std::vector<SpokenLine>& lines() const { return lines_; }

  private:
    static constexpr size_t lines_max = 10'000, line_bytes_max = 4096;

    void add(SpokenLine::Side side, std::string_view text, std::chrono::microseconds at);
    void client_line(std::string_view line, std::chrono::microseconds at);
    void content_line(std::string_view line, std::chrono::microseconds at);

    Heard heard_;
    std::vector<SpokenLine> lines_;
    std::string client_rest_, server_rest_;
    bool in_content_ = false;
    uint64_t content_lines_ = 0, content_bytes_ = 0;
    uint64_t chunk_left_ = 0;  // octets of a BDAT chunk that are still to come
};

/// A stream that lets a Conversation listen. Does not own the stream below it.
class TapStream final : public engine::Stream {
  public:
    /// Times count from `began`.
    TapStream(engine::Stream& below, const engine::Clock& clock, Conversation& conversation,
              engine::Instant began)
        : below_(below), clock_(clock), conversation_(conversation), began_(began) {}

    engine::Task<engine::Result<std::string_view>> read() override;
    engine::Task<engine::Result<void>> write(std::span<const std::string_view> chunks) override;
    void expires_at(engine::Instant deadline) override { below_.expires_at(deadline); }
    void close() override { below_.close(); }
    std::string peer() const override { return below_.peer(); }
    engine::Instant began() const { return began_; }
    void stop_listening() { listens_ = false; }  // from here on it carries what nobody can read

  private:
    std::chrono::microseconds elapsed() const {
        return std::chrono::duration_cast<std::chrono::microseconds>(clock_.now() - began_);
    }
    engine::Stream& below_;
    const engine::Clock& clock_;
    Conversation& conversation_;
    engine::Instant began_;
    bool asked_for_tls_ = false;
    bool listens_ = true;
};

}  // namespace ingest

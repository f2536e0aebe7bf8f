#include "ingest/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "ingest/terminal.h"

namespace ingest {

namespace {
using std::chrono::microseconds;

/// Octets of the chunk that "BDAT 123 LAST" announces.
uint64_t chunk_size(std::string_view command) {
    uint64_t size = 0;
    std::from_chars(command.data() + std::min<size_t>(5, command.size()),
                    command.data() + command.size(), size);
    return size;
}
}  // namespace

void Conversation::add(SpokenLine::Side side, std::string_view text, microseconds at) {
    SpokenLine line{side, printable(text.substr(0, line_bytes_max)), at};
    heard_(line);
    if (lines_.size() < lines_max) lines_.push_back(std::move(line));
}

void Conversation::server_says(std::string_view bytes, microseconds at) {
    server_rest_ += bytes;
    size_t begin = 0;
    for (size_t end; (end = server_rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
        std::string_view line = std::string_view(server_rest_).substr(begin, end - begin);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.starts_with("354")) in_content_ = true;
        add(SpokenLine::Side::server, line, at);
    }
    server_rest_.erase(0, begin);
    if (server_rest_.size() > line_bytes_max)
        server_rest_.resize(line_bytes_max);  // a line without end
}

void Conversation::client_says(std::string_view bytes, microseconds at) {
    client_rest_ += bytes;
    size_t begin = 0;
    while (begin < client_rest_.size()) {
        if (chunk_left_ > 0) {
            const auto taken = std::min<uint64_t>(chunk_left_, client_rest_.size() - begin);
            chunk_left_ -= taken;
            begin += taken;
            continue;
        }
        const size_t end = client_rest_.find("\r\n", begin);
        if (end == std::string::npos) break;
        const auto line = std::string_view(client_rest_).substr(begin, end - begin);
        begin = end + 2;
        in_content_ ? content_line(line, at) : client_line(line, at);
    }
    client_rest_.erase(0, begin);
}

void Conversation::client_line(std::string_view line, microseconds at) {
    add(SpokenLine::Side::client, line, at);
    if (line.starts_with("BDAT ")) {
        chunk_left_ = chunk_size(line);
        add(SpokenLine::Side::client, fmt::format("(content: {} bytes)", chunk_left_), at);
    }
}

void Conversation::content_line(std::string_view line, microseconds at) {
    if (line != ".") {
        ++content_lines_;
        content_bytes_ += line.size() + 2;
        return;
    }
    in_content_ = false;
    add(SpokenLine::Side::client,
        fmt::format("(content: {} lines, {} bytes)", content_lines_, content_bytes_), at);
    add(SpokenLine::Side::client, ".", at);
    content_lines_ = content_bytes_ = 0;
}

engine::Task<engine::Result<std::string_view>> TapStream::read() {
    auto bytes = co_await below_.read();
    if (!bytes || !listens_) co_return bytes;
    conversation_.server_says(*bytes, elapsed());
    // What follows a 220 to STARTTLS is a handshake, and then nobody's to read down here.
    if (std::exchange(asked_for_tls_, false) && bytes->starts_with("220")) stop_listening();
    co_return bytes;
}

engine::Task<engine::Result<void>> TapStream::write(std::span<const std::string_view> chunks) {
    for (const auto chunk : chunks) {
        if (listens_) conversation_.client_says(chunk, elapsed());
        asked_for_tls_ = chunk == "STARTTLS\r\n";
    }
    co_return co_await below_.write(chunks);
}

}  // namespace ingest

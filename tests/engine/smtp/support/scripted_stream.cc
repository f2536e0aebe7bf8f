#include "tests/engine/smtp/support/scripted_stream.h"

namespace engine::testing {

namespace {

std::string visible(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        if (c == '\r')
            text += "\\r";
        else if (c == '\n')
            text += "\\n";
        else
            text += c;
    }
    return text;
}

}  // namespace

void ScriptedStream::finish(Unread unread) {
    gather();
    if (unread == Unread::complain && !arriving_.empty()) {
        complaints_.push_back("never read: " + visible(arriving_));
    }
    for (const Turn& turn : turns_) {
        const bool client = turn.kind == Turn::Kind::client || turn.kind == Turn::Kind::cut_write;
        if (client)
            complaints_.push_back("line " + std::to_string(turn.line) + ": was not written");
    }
}

/// Moves the server's replies up to the next other turn to what can be read; one reply only when
/// the cut says so.
void ScriptedStream::gather() {
    while (!turns_.empty() && turns_.front().kind == Turn::Kind::server) {
        if (cut_ == Cut::per_reply && !arriving_.empty()) return;
        arriving_ += turns_.front().bytes;
        turns_.pop_front();
    }
}

Task<Result<std::string_view>> ScriptedStream::read() {
    gather();
    if (!arriving_.empty()) {
        const size_t bytes = cut_ == Cut::per_octet ? 1 : arriving_.size();
        segment_ = std::string(arriving_.data(), bytes);
        segment_.shrink_to_fit();
        arriving_.erase(0, bytes);
        co_return std::string_view(segment_);
    }
    if (!turns_.empty() && turns_.front().kind == Turn::Kind::refuse_writes) {
        refuses_writes_ = true;
        turns_.pop_front();
    }
    const Turn::Kind next = turns_.empty() ? Turn::Kind::silence : turns_.front().kind;
    const bool scripted = next == Turn::Kind::close || next == Turn::Kind::reset ||
                          (next == Turn::Kind::silence && !turns_.empty());
    if (scripted) turns_.pop_front();
    if (next == Turn::Kind::close) co_return failure(Errc::closed);
    if (next == Turn::Kind::reset) co_return failure(Errc::reset);
    if (!scripted) complaints_.push_back("the client waits for more than the script gives it");
    clock_.set(deadline_);
    co_return failure(Errc::timeout);
}

Task<Result<void>> ScriptedStream::write(std::span<const std::string_view> chunks) {
    std::string bytes;
    for (const std::string_view chunk : chunks) bytes += chunk;
    octets_written_ += bytes.size();
    co_return take(bytes);
}

Result<void> ScriptedStream::take(const std::string& bytes) {
    while (!turns_.empty() && turns_.front().kind == Turn::Kind::refuse_writes) {
        refuses_writes_ = true;
        turns_.pop_front();
    }
    if (refuses_writes_) return failure(Errc::reset);
    if (turns_.empty() || (turns_.front().kind != Turn::Kind::client &&
                           turns_.front().kind != Turn::Kind::cut_write)) {
        complaints_.push_back("the client wrote out of turn: " + visible(bytes));
        return failure(Errc::closed);
    }
    const bool cut = turns_.front().kind == Turn::Kind::cut_write;
    if (!cut && turns_.front().bytes != bytes) {
        complaints_.push_back("line " + std::to_string(turns_.front().line) +
                              ": the client wrote " + visible(bytes) + " in place of " +
                              visible(turns_.front().bytes));
    }
    turns_.pop_front();
    if (cut) return failure(Errc::reset);
    return {};
}

}  // namespace engine::testing

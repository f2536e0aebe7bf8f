// The reply reader and the capabilities: what a receiver sends, cut by the network as it likes.
#include <deque>
#include <functional>
#include <vector>

#include "engine/reactor/scope.h"
#include "engine/smtp/capabilities.h"
#include "engine/smtp/reply_reader.h"
#include "metrics/check.h"
#include "tests/fuzz/targets/targets.h"

namespace fuzz {
namespace {

using namespace engine;

constexpr size_t replies_max = 5'000;

/// Gives the input in pieces; each read overwrites what the last one gave, as a real stream does.
class PieceStream : public Stream {
  public:
    using Cut = std::function<size_t(size_t at)>;  // how much the next read gives
    PieceStream(std::string_view input, Cut cut) : rest_(input), cut_(std::move(cut)) {}

    Task<Result<std::string_view>> read() override {
        if (rest_.empty()) co_return failure(Errc::closed);
        size_t count = std::min(cut_(at_), rest_.size());
        at_ += count;
        // A buffer of exactly this size, so that the sanitizer sees a step beyond it.
        piece_ = std::vector<char>(rest_.begin(), rest_.begin() + ssize_t(count));
        rest_.remove_prefix(count);
        co_return std::string_view(piece_.data(), piece_.size());
    }
    Task<Result<void>> write(std::span<const std::string_view>) override { co_return {}; }
    void expires_at(Instant) override {}
    void close() override {}
    std::string peer() const override { return "192.0.2.1:25"; }

  private:
    std::string_view rest_;
    Cut cut_;
    size_t at_ = 0;
    std::vector<char> piece_;
};

struct Dialogue {
    std::vector<std::string> replies;
    Errc end{};
    bool operator==(const Dialogue&) const = default;
};

Task<> read_all(ReplyReader& reader, Dialogue& dialogue) {
    for (size_t i = 0; i < replies_max; ++i) {
        auto reply = co_await reader.next(Instant::max());
        if (!reply) {
            dialogue.end = reply.error().code;
            co_return;
        }
        CHECK(reply->code >= 200 && reply->code < 600, "a reply's code");
        CHECK(reply->text.size() <= ReplyReader::reply_bytes_max, "a reply's size");
        for (unsigned char c : reply->text)
            CHECK(c == '\n' || (c >= 32 && c != 127), "a control character in a reply's text");
        CHECK(reply->enhanced.empty() || reply->enhanced[0] - '0' == reply->code / 100,
              "an enhanced code of another class");
        auto capabilities = parse_capabilities(*reply);
        CHECK(capabilities.size || capabilities.size_max == 0, "a limit without SIZE");
        dialogue.replies.push_back(std::to_string(reply->code) + reply->enhanced + ' ' +
                                   reply->text);
    }
}

Dialogue converse(std::string_view input, PieceStream::Cut cut) {
    PieceStream stream(input, std::move(cut));
    ReplyReader reader(stream);
    Dialogue dialogue;
    Scope scope;
    scope.spawn(read_all(reader, dialogue));
    return dialogue;
}

}  // namespace

void replies(std::string_view input) {
    Dialogue whole = converse(input, [&](size_t) { return input.size(); });
    CHECK(whole == converse(input, [](size_t) { return size_t(1); }),
          "single octets give other replies");
    CHECK(whole == converse(input, [](size_t at) { return at * 7 % 13 + 1; }),
          "pieces give other replies");
}

}  // namespace fuzz

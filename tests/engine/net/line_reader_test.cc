#include "engine/net/line_reader.h"

#include <gtest/gtest.h>

#include <deque>

#include "engine/reactor/scope.h"

namespace engine {
namespace {

/// Gives its segments one by one, each in memory of its own that dies at the next read.
class Segments : public Stream {
  public:
    explicit Segments(std::deque<std::string> segments) : segments_(std::move(segments)) {}
    Task<Result<std::string_view>> read() override {
        current_.reset();
        if (segments_.empty()) co_return failure(Errc::closed);
        current_ = std::make_unique<std::string>(std::move(segments_.front()));
        segments_.pop_front();
        co_return std::string_view(*current_);
    }
    Task<Result<void>> write(std::span<const std::string_view>) override {
        co_return Result<void>();
    }
    void expires_at(Instant) override {}
    void close() override {}
    std::string peer() const override { return "test"; }

  private:
    std::deque<std::string> segments_;
    std::unique_ptr<std::string> current_;
};

struct Seen {
    std::vector<std::string>
        lines;  // "text", with "!" behind it when not clean, "+n" for dropped octets
    std::optional<Errc> end;
};

Task<> read_all(LineReader& reader, Seen& seen) {
    for (;;) {
        const Result<Line> line = co_await reader.next();
        if (!line) {
            seen.end = line.error().code;
            co_return;
        }
        std::string text(line->text);
        if (line->truncated()) text += "+" + std::to_string(line->length - line->text.size());
        if (!line->clean) text += "!";
        seen.lines.push_back(std::move(text));
    }
}

Seen lines_of(std::deque<std::string> segments, LineLimits limits = {}) {
    Segments stream(std::move(segments));
    LineReader reader(stream, limits);
    Seen seen;
    Scope scope;
    scope.spawn(read_all(reader, seen));
    return seen;
}

std::deque<std::string> octets(const std::string& text) {
    std::deque<std::string> segments;
    for (const char c : text) segments.emplace_back(1, c);
    return segments;
}

TEST(LineReader, GivesTheSameLinesHoweverTheyAreCut) {
    const std::string text = "one\r\n\r\ntwo\nthree\rfour\r\n\r\r\nfive\r\n\n";
    const std::vector<std::string> expected = {"one", "",     "two!", "three\rfour!",
                                               "\r!", "five", "!"};
    EXPECT_EQ(lines_of({text}).lines, expected);
    EXPECT_EQ(lines_of(octets(text)).lines, expected);
    for (size_t cut = 0; cut <= text.size(); ++cut) {
        EXPECT_EQ(lines_of({text.substr(0, cut), text.substr(cut)}).lines, expected) << cut;
    }
}

TEST(LineReader, KeepsTheBeginningOfALongLineAndStaysInStep) {
    const std::string text = "0123456789\r\nshort\r\n01234567\r\n012345678\r\n01234567\r9\r\n";
    const std::vector<std::string> expected = {"01234567+2", "short", "01234567", "01234567+1",
                                               "01234567+2!"};
    const LineLimits limits{.kept = 8, .line_max = 100};
    EXPECT_EQ(lines_of({text}, limits).lines, expected);
    EXPECT_EQ(lines_of(octets(text), limits).lines, expected);
}

TEST(LineReader, GivesUpOnALineWithoutEnd) {
    const LineLimits limits{.kept = 8, .line_max = 100};
    EXPECT_EQ(lines_of(octets(std::string(200, 'x')), limits).end, Errc::protocol);
    EXPECT_EQ(lines_of({std::string(101, 'x'), "x"}, limits).end, Errc::protocol);
}

TEST(LineReader, PassesOnTheEndOfTheStream) {
    EXPECT_EQ(lines_of({"half a li"}).end, Errc::closed);
    EXPECT_TRUE(lines_of({"half a li"}).lines.empty());
}

Task<> read_line_then_bulk(LineReader& reader, std::string& bulk) {
    const Result<Line> line = co_await reader.next();
    CHECK(line && line->text == "DATA", "the line comes first");
    while (!reader.buffered().empty() || (co_await reader.fill()).has_value()) {
        bulk += reader.buffered();
        reader.consume(reader.buffered().size());
    }
}

TEST(LineReader, GivesBufferedOctetsInBulkBehindALine) {
    Segments stream({"DATA\r\nbulk 1 ", "bulk 2"});
    LineReader reader(stream, {});
    std::string bulk;
    Scope scope;
    scope.spawn(read_line_then_bulk(reader, bulk));
    EXPECT_EQ(bulk, "bulk 1 bulk 2");
}

}  // namespace
}  // namespace engine

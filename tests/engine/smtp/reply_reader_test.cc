#include "engine/smtp/reply_reader.h"

#include <gtest/gtest.h>

#include "engine/reactor/scope.h"
#include "tests/engine/smtp/support/scripted_stream.h"

namespace engine::testing {
namespace {

Task<> read_into(ReplyReader& reader, Result<Reply>& result) {
    result = co_await reader.next(Instant::max());
}

Result<Reply> reply_of(const std::string& bytes) {
    ManualClock clock;
    ScriptedStream stream(clock, Cut::all_at_once);
    stream.add({ScriptedStream::Turn::Kind::server, 1, bytes});
    stream.add({ScriptedStream::Turn::Kind::close, 2, {}});
    ReplyReader reader(stream);
    Result<Reply> result;
    Scope scope;
    scope.spawn(read_into(reader, result));
    return result;
}

TEST(ReplyReader, KeepsFourKilobytesOfALine) {
    const auto reply = reply_of("250 " + std::string(50'000, 'x') + "\r\n");
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->text.size(), ReplyReader::line_kept - 4);
}

TEST(ReplyReader, RefusesAReplyOfTooManyLines) {
    std::string lines;
    for (size_t i = 0; i < ReplyReader::reply_lines_max; ++i) lines += "250-x\r\n";
    EXPECT_EQ(reply_of(lines + "250 x\r\n").error().code, Errc::protocol);
    EXPECT_TRUE(reply_of(lines.substr(7) + "250 x\r\n").has_value());
}

TEST(ReplyReader, RefusesAReplyOfTooManyOctets) {
    std::string lines;
    for (int i = 0; i < 20; ++i) lines += "250-" + std::string(4000, 'x') + "\r\n";
    EXPECT_EQ(reply_of(lines + "250 x\r\n").error().code, Errc::protocol);
    EXPECT_EQ(reply_of("250 " + std::string(70'000, 'x')).error().code, Errc::protocol);
}

TEST(ReplyReader, ShowsControlCharactersAsQuestionMarks) {
    const auto reply = reply_of(std::string("550 a\x1b[31m\0b\rc\x7f\r\n", 18));
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->text, "a?[31m?b?c?");
}

TEST(ReplyReader, TakesEveryFormThatIsAReplyAndNoOther) {
    for (const char* good : {"250\r\n", "250 \r\n", "250 ok\r\n", "250-a\r\n250 b\r\n", "599 x\r\n",
                             "250-\r\n250\r\n", "200 x\n"}) {
        EXPECT_TRUE(reply_of(good).has_value()) << good;
    }
    for (const char* bad : {"\r\n", "2\r\n", "25\r\n", "2500\r\n", "250_ok\r\n", "150 x\r\n",
                            "600 x\r\n", "099 x\r\n", "2x0 x\r\n", " 250 x\r\n", "ok\r\n",
                            "250-a\r\n251 b\r\n", "250-a\r\nb\r\n"}) {
        const auto reply = reply_of(bad);
        ASSERT_FALSE(reply.has_value()) << bad;
        EXPECT_EQ(reply.error().code, Errc::protocol) << bad;
    }
}

TEST(ReplyReader, ReadsEnhancedCodesOfTheReplysClassOnly) {
    const std::pair<const char*, const char*> cases[] = {{"550 5.1.1 x\r\n", "5.1.1"},
                                                         {"550 5.1.1\r\n", "5.1.1"},
                                                         {"550 5.123.999 x\r\n", "5.123.999"},
                                                         {"550 4.1.1 x\r\n", ""},
                                                         {"550 5.1 x\r\n", ""},
                                                         {"550 5.1.1234 x\r\n", ""},
                                                         {"550 5.1.1x\r\n", ""},
                                                         {"550 5..1 x\r\n", ""},
                                                         {"550 #5.1.1 x\r\n", ""},
                                                         {"550-x\r\n550 5.1.1 y\r\n", "5.1.1"},
                                                         {"250 2.0.0\r\n", "2.0.0"},
                                                         {"354 3.0.0 x\r\n", "3.0.0"}};
    for (const auto& [bytes, enhanced] : cases) {
        const auto reply = reply_of(bytes);
        ASSERT_TRUE(reply.has_value()) << bytes;
        EXPECT_EQ(reply->enhanced, enhanced) << bytes;
    }
}

}  // namespace
}  // namespace engine::testing

#include "ingest/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ingest {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using Side = SpokenLine::Side;

/// Says both sides' bytes in pieces of `size` and returns the lines as "C: …" and "S: …".
std::vector<std::string> lines(const std::vector<std::pair<Side, std::string>>& turns,
                               size_t size) {
    std::vector<std::string> heard;
    Conversation conversation([&](const SpokenLine& line) {
        heard.push_back((line.side == Side::client ? "C: " : "S: ") + line.text);
    });
    for (const auto& [side, bytes] : turns) {
        for (size_t at = 0; at < bytes.size(); at += size) {
            const auto piece = std::string_view(bytes).substr(at, size);
            side == Side::client ? conversation.client_says(piece, 1us)
                                 : conversation.server_says(piece, 1us);
        }
    }
    EXPECT_EQ(conversation.lines().size(), heard.size());
    return heard;
}

TEST(Conversation, SumsUpContentHoweverItIsCut) {
    for (size_t size = 1; size < 40; ++size) {
        EXPECT_THAT(lines({{Side::server, "220 mx\r\n"},
                           {Side::client, "DATA\r\n"},
                           {Side::server, "354 go\r\n"},
                           {Side::client, "Subject: secret\r\n\r\n..\r\ntext\r\n.\r\n"},
                           {Side::server, "250 ok\r\n"},
                           {Side::client, "QUIT\r\n"}},
                          size),
                    ElementsAre("S: 220 mx", "C: DATA", "S: 354 go",
                                "C: (content: 4 lines, 29 bytes)", "C: .", "S: 250 ok", "C: QUIT"));
    }
}

TEST(Conversation, SkipsTheOctetsOfChunks) {
    EXPECT_THAT(lines({{Side::client, "BDAT 7 LAST\r\na\r\nb\r\n\nQUIT\r\n"}}, 3),
                ElementsAre("C: BDAT 7 LAST", "C: (content: 7 bytes)", "C: QUIT"));
}

TEST(Conversation, ShowsNoControlCharacters) {
    EXPECT_THAT(lines({{Side::server, "250 \x1b[2Jhi\r\n"}}, 100), ElementsAre("S: 250 ?[2Jhi"));
}

}  // namespace
}  // namespace ingest

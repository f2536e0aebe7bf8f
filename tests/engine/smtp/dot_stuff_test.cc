#include "engine/smtp/dot_stuff.h"

#include <gtest/gtest.h>

#include <random>

namespace engine {
namespace {

std::string wire_form(std::string_view content) {
    std::string wire;
    DotStuffer stuffer(content);
    for (auto block = stuffer.next(); !block.empty(); block = stuffer.next()) {
        for (const std::string_view chunk : block) wire += chunk;
    }
    return wire;
}

/// RFC 5321 4.5.2 as a receiver does it, octet by octet and as plainly as can be.
struct Received {
    std::string content;
    std::string_view rest;  // what the receiver would take for its next command
};
Received receive(std::string_view wire) {
    Received result;
    while (!wire.empty()) {
        const size_t end = wire.find("\r\n");
        if (end == std::string_view::npos) break;
        std::string_view line = wire.substr(0, end + 2);
        wire.remove_prefix(line.size());
        if (line == ".\r\n") return {result.content, wire};
        if (line.starts_with('.')) line.remove_prefix(1);
        result.content += line;
    }
    return {result.content + "<no end>", {}};
}

std::string random_body(std::mt19937& random) {
    constexpr std::string_view alphabet[] = {".", "\r\n", "\r\n.", "\r\n.\r\n", "a", "..", "xyz"};
    std::string body;
    for (size_t pieces = random() % 24; pieces > 0; --pieces) {
        body += alphabet[random() % std::size(alphabet)];
        if (random() % 16 == 0) body.append(random() % 3000, 'L');
    }
    return body + "\r\n";
}

TEST(DotStuffing, ReceiversParseEqualsTheInputForRandomBodies) {
    std::mt19937 random(20261122);
    for (int i = 0; i < 100'000; ++i) {
        const std::string body = random_body(random);
        const std::string wire = wire_form(body);
        const Received received = receive(wire);
        ASSERT_EQ(received.content, body);
        ASSERT_EQ(received.rest, "") << "a second message would follow";
    }
}

TEST(DotStuffing, FindsEveryBareLineEndInRandomBodies) {
    std::mt19937 random(7);
    for (int i = 0; i < 100'000; ++i) {
        std::string body;
        for (size_t n = random() % 12; n > 0; --n) body += "\r\n.a"[random() % 4];
        size_t expected = std::string::npos;
        for (size_t at = 0; at < body.size() && expected == std::string::npos; ++at) {
            const bool cr_before = at > 0 && body[at - 1] == '\r';
            const bool lf_after = at + 1 < body.size() && body[at + 1] == '\n';
            if ((body[at] == '\n' && !cr_before) || (body[at] == '\r' && !lf_after)) expected = at;
        }
        ASSERT_EQ(find_bare_line_end(body), expected) << ::testing::PrintToString(body);
    }
}

TEST(DotStuffing, CompletesALastLineWithoutItsEnd) {
    EXPECT_EQ(wire_form("hello"), "hello\r\n.\r\n");
    EXPECT_EQ(wire_form(""), ".\r\n");
    EXPECT_EQ(wire_form("."), "..\r\n.\r\n");
}

TEST(DotStuffing, DoesNotCopyLongText) {
    const std::string content = std::string(5000, 'x') + "\r\n." + std::string(5000, 'y') + "\r\n";
    DotStuffer stuffer(content);
    const auto block = stuffer.next();
    ASSERT_EQ(block.size(), 3u);
    EXPECT_EQ(block[0].data(), content.data());
    EXPECT_EQ(block[1].data(), content.data() + 5002);
    EXPECT_EQ(block[2], ".\r\n");
    EXPECT_TRUE(stuffer.next().empty());
}

TEST(DotStuffing, CutsLargeContentIntoBoundedBlocks) {
    std::string content;
    while (content.size() < 3'000'000) content += ".a dot begins each line\r\n";
    DotStuffer stuffer(content);
    std::string wire;
    for (auto block = stuffer.next(); !block.empty(); block = stuffer.next()) {
        size_t bytes = 0;
        for (const std::string_view chunk : block) bytes += chunk.size();
        ASSERT_LE(bytes, 2 * DotStuffer::block_bytes);
        ASSERT_LE(block.size(), DotStuffer::chunks_max);
        for (const std::string_view chunk : block) wire += chunk;
    }
    EXPECT_EQ(receive(wire).content, content);
}

TEST(DotStuffing, FindsADotThatBeginsALineAtTheEdgeOfABlock) {
    for (size_t before = DotStuffer::block_bytes - 4; before < DotStuffer::block_bytes + 2;
         ++before) {
        const std::string content = std::string(before, 'x') + "\r\n.\r\ny\r\n";
        EXPECT_EQ(receive(wire_form(content)).content, content) << before;
    }
}

}  // namespace
}  // namespace engine

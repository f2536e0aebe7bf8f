#include "engine/message/relaxed.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/message/encode.h"

namespace {

using engine::append_relaxed_field;
using engine::relax_body;
using engine::relaxed_body_hash;

std::string relaxed(std::string_view body) {
    std::string out;
    relax_body(body, [&](std::string_view piece) { out += piece; });
    return out;
}
std::string relaxed_field(std::string_view field) {
    std::string out;
    append_relaxed_field(out, field);
    return out;
}
std::string hash_text(std::string_view body) {
    const auto hash = relaxed_body_hash(body);
    return engine::base64({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

/// RFC 6376 3.4.4 read literally, line by line; slow and plain.
std::string relaxed_by_the_book(std::string_view body) {
    std::string out;
    size_t kept = 0;
    for (size_t at = 0; at < body.size();) {
        const size_t end = std::min(body.find("\r\n", at), body.size());
        std::string line;
        for (const char c : body.substr(at, end - at)) {
            const bool blank = c == ' ' || c == '\t';
            if (!blank) line += c;
            if (blank && !line.ends_with(' ')) line += ' ';
        }
        if (line.ends_with(' ')) line.pop_back();
        out += line + "\r\n";
        if (!line.empty()) kept = out.size();
        at = end + 2;
    }
    out.resize(kept);
    return out;
}

// The example of RFC 6376 3.4.5.
TEST(Relaxed, GivesWhatTheStandardsExampleGives) {
    EXPECT_EQ(relaxed_field("A: X\r\n"), "a:X\r\n");
    EXPECT_EQ(relaxed_field("B : Y\t\r\n\tZ  \r\n"), "b:Y Z\r\n");
    EXPECT_EQ(relaxed(" C \r\nD \t E\r\n\r\n\r\n"), " C\r\nD E\r\n");
}

TEST(Relaxed, KnowsTheHashOfAnEmptyBody) {
    for (const char* body : {"", "\r\n", "\r\n\r\n", " \t\r\n  \r\n", "  "}) {
        EXPECT_EQ(relaxed(body), "") << body;
        EXPECT_EQ(hash_text(body), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}

TEST(Relaxed, EndsALastLineThatHasNoEnd) {
    EXPECT_EQ(relaxed("a"), "a\r\n");
    EXPECT_EQ(relaxed("a \t"), "a\r\n");
    EXPECT_EQ(relaxed("a\r\n b"), "a\r\n b\r\n");
}

TEST(Relaxed, LeavesOddFieldsReadable) {
    EXPECT_EQ(relaxed_field("X-Empty:\r\n"), "x-empty:\r\n");
    EXPECT_EQ(relaxed_field("X-Blank: \r\n \t\r\n"), "x-blank:\r\n");
    EXPECT_EQ(relaxed_field("Subject:\r\n a\r\n\t b: c\r\n"), "subject:a b: c\r\n");
    EXPECT_EQ(relaxed_field("no colon"), "no colon:\r\n");
}

TEST(Relaxed, AgreesWithTheBookOnBodiesOfManyBlocks) {
    std::mt19937 random(7);
    const std::vector<std::string> bits = {" ",     "  ",   "\t",  "\r\n",
                                           " \r\n", "word", "=20", "\r\n\r\n"};
    for (int round = 0; round < 2000; ++round) {
        std::string body;
        const size_t pieces = random() % (round % 20 == 0 ? 9000 : 40);
        const bool clean = random() % 3 == 0;
        while (body.size() < pieces) {
            if (clean)
                body += random() % 10 == 0 ? "\r\n" : "word";
            else
                body += bits[random() % bits.size()];
            if (clean && random() % 500 == 0) body += " ";
        }
        ASSERT_EQ(relaxed(body), relaxed_by_the_book(body)) << "round " << round;
    }
}

TEST(Relaxed, SeesWhatStandsOnTheEdgeOfABlock) {
    for (size_t size = 4090; size < 4100; ++size) {
        for (const char* tail : {"  x", " \r\nx", "\tx", " x", " \t\r\n\r\n"}) {
            const std::string body = std::string(size, 'a') + tail;
            ASSERT_EQ(relaxed(body), relaxed_by_the_book(body)) << size << tail;
        }
    }
}

}  // namespace

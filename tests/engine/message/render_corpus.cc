// A tool for reading_test.py: mails of many kinds with what a reader must see in them, as JSON
// lines in which every text is base64. Its randomness is seeded, so each run makes the same mails.
#include <fmt/format.h>

#include <cstdio>
#include <random>

#include "engine/message/content.h"
#include "engine/message/encode.h"

namespace {

constexpr int mails = 200;

std::string words(std::mt19937& random, bool lines) {
    const std::vector<std::string> bits = {"a",  "word", " ",   "  ", "ü",   "日本語",
                                           "😀", "=",    ".",   ",",  "<b>", "&",
                                           "\"", "\\",   "(x)", "@",  "_",   "=?utf-8?q?x?="};
    std::string out = "w";
    for (size_t i = random() % 40; i > 0; --i) {
        out += bits[random() % bits.size()];
        if (lines && random() % 6 == 0) out += "\n";
    }
    return out + "w";
}

void print(std::string_view key, std::string_view value, const char* after) {
    fmt::print("\"{}\":\"{}\"{}", key, engine::base64(value), after);
}

void mail(uint32_t index) {
    std::mt19937 random(index);
    const engine::Origin origin{.host = "mx.example.com", .job = storage::JobId{index + 1}};
    std::string subject = words(random, false), text = words(random, true);
    std::string html = words(random, true), value = words(random, false);
    std::string filename = "ä " + std::to_string(index) + ".bin", octets;
    for (size_t i = random() % 400; i > 0; --i) octets += static_cast<char>(random());
    engine::MailParts parts;
    parts.from = "{{x}} <news@example.com>";
    parts.subject = subject + " {{x}}";
    if (index % 3 != 0) parts.text = text + "{{x}}" + text;
    if (index % 3 != 1) parts.html = html + "{{x}}{{{x}}}" + html;
    parts.attachments = {{.filename = filename, .type = "application/x-test", .bytes = octets}};
    if (index % 2 == 0)
        parts.attachments.push_back(
            {.filename = "i.png", .type = "image/png", .bytes = octets, .content_id = "i@x"});
    auto content = engine::Content::assemble(parts, origin);
    if (!content) {
        fmt::print(stderr, "{}: {}\n", index, content.error()[0].message);
        std::exit(1);
    }
    std::string vars = content->encode_vars({{"x", value}, {"name", value}});
    std::string escaped;
    engine::append_html(escaped, value);
    fmt::print("{{");
    print("subject", subject + " " + value, ",");
    print("name", value, ",");
    print("text", parts.text ? text + value + text : "", ",");
    print("html", parts.html ? html + escaped + value + html : "", ",");
    print("filename", filename, ",");
    print("octets", octets, ",");
    print("mail",
          content->render({.id = {origin.job, index}, .to = "ann@example.org", .vars = vars}),
          "}\n");
}

}  // namespace

int main() {
    for (uint32_t i = 0; i < mails; ++i) mail(i);
}

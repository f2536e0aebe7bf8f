// A tool for signed_test.py: mails of many kinds, converted and signed, as JSON lines: "sent" is
// what a host that takes everything gets, "seven" what one without 8BITMIME gets; both in base64.
// Its randomness is seeded, so each run makes the same mails.
//
//     signed_corpus COUNT SELECTOR=KEYFILE...     all keys sign for example.com
#include <fmt/format.h>

#include <cstdio>
#include <random>

#include "engine/message/compose.h"
#include "engine/message/encode.h"

namespace {

using engine::Content;
using engine::Templating;
using Random = std::mt19937;

std::string pick(Random& random, const std::vector<std::string>& bits, size_t most) {
    std::string out;
    for (size_t i = random() % (most + 1); i > 0; --i) out += bits[random() % bits.size()];
    return out;
}

/// Lines as bodies have them: blanks in all places, dots, long ones, blank ones at the end.
std::string body(Random& random, bool eight_bit) {
    std::vector<std::string> bits = {"a",       "word",     " ",    "  ",    "\t",
                                     "=",       ".",        "\r\n", "\r\n.", " \r\n",
                                     "\t \r\n", "\r\n\r\n", "=20",  "From "};
    if (eight_bit) bits.insert(bits.end(), {"\xC3\xBC", "\xE6\x97\xA5\xE6\x9C\xAC", "\xFF"});
    std::string out = pick(random, bits, 60);
    if (random() % 5 == 0) out += "\r\n" + std::string(random() % 998, 'x') + "\r\n";
    for (size_t i = random() % 4; i > 0; --i) out += "\r\n";
    return random() % 8 == 0 ? "" : out;
}

std::string words(Random& random) {
    return "w" + pick(random,
                      {"a", " ", "  ", "\xC3\xBC", "\xE6\x97\xA5", "=", ",", "<b>", "\"", "(x)"},
                      30);
}

std::string header(Random& random) {
    std::string out =
        pick(random,
             {"X-Twice: 1\r\n", "X-Folded: a\r\n\t  b \r\n c\r\n", "List-Id: <l.example.com>\r\n",
              "List-Unsubscribe: <https://example.com/u>\r\n",
              "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", "Feedback-ID: 1:2:3\r\n",
              "x-Empty:\r\n", "Received: from x\r\n by y; z\r\n"},
             6);
    if (random() % 2 == 0) out += "subject:odd   \t name\r\n";
    if (random() % 3 == 0) out += "References: <1@x.test>\r\n <2@x.test>\r\n";
    if (random() % 3 == 0) out += "Reply-To: r@example.com\r\n";
    return out + "From: News\r\n <news@example.com>\r\n";
}

std::string part(Random& random, int depth) {
    const size_t kind = random() % (depth > 2 ? 3 : 5);
    const std::string eight = random() % 2 == 0 ? "Content-Transfer-Encoding: 8bit\r\n" : "";
    if (kind == 0)
        return "Content-Type: text/plain; charset=utf-8\r\n" + eight + "\r\n" + body(random, true);
    if (kind == 1)
        return "Content-Type: application/x-y; name=\"\xC3\xBC;.bin\"\r\n" + eight + "\r\n" +
               body(random, true);
    if (kind == 2) return "\r\n" + body(random, false);
    if (kind == 3)
        return "Content-Type: message/rfc822\r\n" + eight + "\r\nFrom: b@x.test\r\nSubject: i\r\n" +
               part(random, depth + 1);
    const std::string boundary = fmt::format("b{}", random());
    std::string out =
        "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n" + eight + "\r\npre\r\n";
    for (size_t i = 1 + random() % 3; i > 0; --i)
        out += "--" + boundary + "\r\n" + part(random, depth + 1) + "\r\n";
    return out + "--" + boundary + "--\r\nend";
}

std::string ends_line(std::string text) {
    return text.ends_with("\r\n") ? text : text + "\r\n";
}

std::expected<Content, engine::Problems> content(uint32_t index, Random& random) {
    const engine::Origin origin{.host = "mx.example.com", .job = storage::JobId{index + 1}};
    switch (index % 4) {
        case 0: {
            engine::MailParts parts;
            parts.from = "{{x}} <news@example.com>";
            parts.subject = words(random) + " {{x}}";
            parts.text = words(random) + "{{x}}\n" + words(random);
            if (random() % 2 == 0) parts.html = words(random) + "{{{x}}}";
            if (random() % 2 == 0) parts.text = words(random);  // a body that is the same for all
            parts.headers = {{"List-Unsubscribe", "<https://example.com/{{x}}>"}};
            return Content::assemble(parts, origin);
        }
        case 1:
            return Content::from_raw(
                ends_line(header(random) + "\r\n" + body(random, random() % 2 == 0)),
                Templating::off, origin);
        case 2:
            return Content::from_raw(
                ends_line(header(random) + "X-Name: {{x}}\r\n\r\n" + body(random, false)),
                Templating::on, origin);
        default:
            return Content::from_raw(
                ends_line("MIME-Version: 1.0\r\n" + header(random) + part(random, 0)),
                Templating::off, origin);
    }
}

}  // namespace

int main(int count, char** words_given) {
    const std::vector<std::string> given(words_given + 1, words_given + count);
    std::vector<engine::DkimEntry> entries;
    for (size_t i = 1; i < given.size(); ++i) {
        const size_t equals = given[i].find('=');
        entries.push_back({"example.com", given[i].substr(0, equals), given[i].substr(equals + 1)});
    }
    const auto loaded = engine::DkimKeys::load(entries);
    for (const auto& report : loaded.reports) {
        if (!report.problem.empty()) fmt::print(stderr, "{}\n", report.problem);
        fmt::print("{{\"name\":\"{}\",\"record\":\"{}\"}}\n", report.entry, report.record);
    }
    if (!loaded.keys || given.empty()) return 1;
    for (uint32_t i = 0; i < std::stoul(given[0]); ++i) {
        Random random(i);
        const auto mail = content(i, random);
        if (!mail) {
            fmt::print(stderr, "{}: {}\n", i, mail.error()[0].message);
            return 1;
        }
        const std::string vars = mail->encode_vars({{"x", words(random)}});
        const auto made = [&](engine::MailForm form) {
            return engine::compose(
                *mail, {.id = {storage::JobId{i + 1}, i}, .to = "ann@example.org", .vars = vars},
                form, *loaded.keys, "t",
                std::chrono::sys_seconds(std::chrono::seconds(1'790'000'000)));
        };
        const auto seven =
            made(mail->eight_bit() ? engine::MailForm::seven_bit : engine::MailForm::as_is);
        fmt::print("{{\"sent\":\"{}\",\"seven\":\"{}\"}}\n",
                   engine::base64(made(engine::MailForm::as_is).bytes),
                   engine::base64(seven.bytes));
    }
}

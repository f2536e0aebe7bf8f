#include "tests/fuzz/targets/wire.h"

#include <algorithm>
#include <array>

#include "engine/message/limits.h"
#include "engine/message/seven_bit.h"
#include "metrics/check.h"

namespace fuzz {
namespace {

using namespace std::string_view_literals;

/// No field name of ours or of a test's: when it stands at the start of a header line, a value has
/// made it.
constexpr std::string_view injected = "X-Injected:";

std::string_view hostile_value(size_t i) {
    static const std::string unbroken(3000, 'w');
    static const std::array values{"a\r\nX-Injected: 1\r\n\r\nb"sv,
                                   ""sv,
                                   "<b>&amp;\"'</b>"sv,
                                   "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"sv,
                                   "\r\n.\r\n"sv,
                                   "=?utf-8?q?=0D=0AX-Injected:?="sv,
                                   std::string_view(unbroken),
                                   "\0\n\r"sv,
                                   "\xff\xfe\xc0\xaf"sv,
                                   "1"sv};
    return values[i % values.size()];
}

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 128; });
}

std::string_view header_of(std::string_view mail) {
    return mail.substr(0, mail.find("\r\n\r\n"));
}

/// The forms for hosts without 8BITMIME or SMTPUTF8.
void check_conversions(std::string_view mail) {
    if (auto seven = engine::to_seven_bit(mail)) {
        check_wire(*seven);
        CHECK(is_ascii(*seven), "octets above 127 in a mail of seven bits");
        CHECK(engine::to_seven_bit(*seven) == *seven, "a second conversion changes something");
    }
    if (auto ascii = engine::to_ascii_header(mail)) {
        check_wire(*ascii);
        CHECK(is_ascii(header_of(*ascii)), "octets above 127 in a header of ASCII");
    }
}

}  // namespace

void check_wire(std::string_view mail) {
    CHECK(mail.ends_with("\r\n"), "a mail without a last line end");
    size_t line = 0;
    for (size_t i = 0; i < mail.size(); ++i) {
        if (mail[i] == '\r') {
            CHECK(i + 1 < mail.size() && mail[i + 1] == '\n', "a bare CR");
            CHECK(i - line <= engine::line_octets_max, "a line too long");
            line = i + 2;
        }
        CHECK(mail[i] != '\n' || (i > 0 && mail[i - 1] == '\r'), "a bare LF");
    }
}

void check_rendering(const engine::Content& content, std::string_view source) {
    for (size_t shift = 0; shift < 3; ++shift) {
        engine::Content::Vars vars;
        size_t i = shift;
        for (const auto& name : content.variables()) vars.emplace_back(name, hostile_value(i++));
        std::string encoded = content.encode_vars(vars);
        std::string mail = content.render({{}, "a@x.test", encoded});
        check_wire(mail);
        check_conversions(mail);
        std::string_view header = header_of(mail);
        if (source.find(injected) == std::string_view::npos)
            CHECK(header.find("\n" + std::string(injected)) == std::string_view::npos,
                  "a value has made a header field");
        auto again = engine::Content::decode(content.encode());
        CHECK(again.has_value(), "an encoded content that cannot be read");
        CHECK(again->render({{}, "a@x.test", encoded}) == mail,
              "a stored content renders other octets");
    }
}

engine::Origin origin() {
    return {.host = "out1.test",
            .job = storage::JobId{77},
            .time = storage::WallTime(std::chrono::milliseconds(1'700'000'000'000))};
}

}  // namespace fuzz

// The template compiler and the renderer. The first octet chooses the form: "r" a raw message with
// placeholders, "R" one without, anything else the object form, whose fields are divided by lines
// of "~".
#include <vector>

#include "metrics/check.h"
#include "tests/fuzz/targets/targets.h"
#include "tests/fuzz/targets/wire.h"

namespace fuzz {
namespace {

using engine::Content, engine::MailParts;

std::string take_part(std::string_view& rest) {
    size_t end = rest.find("\n~\n");
    std::string part(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 3);
    return part;
}

MailParts parts_of(std::string_view rest) {
    MailParts parts{.from = take_part(rest), .reply_to = take_part(rest)};
    parts.subject = take_part(rest);
    parts.text = take_part(rest);
    if (!rest.empty()) parts.html = take_part(rest);
    while (!rest.empty() && parts.headers.size() < 8) {
        std::string name = take_part(rest);
        parts.headers.emplace_back(std::move(name), take_part(rest));
    }
    if (!rest.empty()) parts.to = take_part(rest);
    if (!rest.empty()) {
        std::string name = take_part(rest), type = take_part(rest);
        parts.attachments.push_back(
            {.filename = std::move(name), .type = std::move(type), .bytes = take_part(rest)});
    }
    return parts;
}

}  // namespace

void content(std::string_view input) {
    if (input.empty()) return;
    std::string_view text = input.substr(1);
    auto made = input[0] == 'r'   ? Content::from_raw(text, engine::Templating::on, origin())
                : input[0] == 'R' ? Content::from_raw(text, engine::Templating::off, origin())
                                  : Content::assemble(parts_of(text), origin());
    if (made) return check_rendering(*made, input);
    CHECK(!made.error().empty(), "a refusal without a problem");
    for (const auto& problem : made.error())
        CHECK(!problem.code.empty() && !problem.message.empty(), "a problem without words");
}

}  // namespace fuzz

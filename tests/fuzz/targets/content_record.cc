// A content as the store gives it back, however damaged.
#include "engine/message/content.h"
#include "metrics/check.h"
#include "tests/fuzz/targets/targets.h"

namespace fuzz {

void content_record(std::string_view input) {
    auto content = engine::Content::decode(std::string(input));
    if (!content) {
        CHECK(!content.error().empty(), "an error without words");
        return;
    }
    engine::Content::Vars vars;
    for (const auto& name : content->variables()) vars.emplace_back(name, "a=b\r\n\xff");
    (void)content->render({{}, "a@x.test", content->encode_vars(vars)});
    (void)content->render({{}, "a@x.test", input});  // variables of another content
    auto encoded = content->encode();
    auto again = engine::Content::decode(encoded);
    CHECK(again && again->encode() == encoded, "a record that is another one when written again");
}

}  // namespace fuzz

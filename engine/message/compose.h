// compose: all that happens to a content before it goes over the wire: rendered, brought into a
// form that the receiver takes, signed. Pure, so that any thread can do it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/message/content.h"
#include "engine/message/dkim_keys.h"

namespace engine {

/// What a host can be sent.
enum class MailForm : uint8_t {
    as_is,
    ascii_header,  // no octets above 127 in the header: they need SMTPUTF8
    seven_bit      // none at all: they need 8BITMIME
};

struct Composed {
    std::string bytes;
    // What is left of them: a content that cannot be brought into the form stays as it is.
    bool eight_bit = false, utf8_header = false;
    bool converted = false, is_signed = false;
};

/// Signs with those of `keys` that sign mail of this tenant; `now` is when.
Composed compose(const Content& content, const Merge& merge, MailForm form, const DkimKeys& keys,
                 std::string_view tenant, std::chrono::sys_seconds now);

}  // namespace engine

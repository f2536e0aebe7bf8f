// A message as it is (RFC 5322 text): checks its lines and fields, adds what is missing, and with
// templating on finds the placeholders of its header and of its text parts.
#pragma once

#include <expected>
#include <string_view>

#include "engine/message/content.h"
#include "engine/message/program.h"

namespace engine {

/// With templating, a text part that holds placeholders is sent as quoted-printable in UTF-8,
/// whatever its encoding was: a value may be longer than a line and not ASCII. Text parts in base64
/// are refused when they hold any.
std::expected<Program, Problems> compile_raw(std::string_view raw, Templating templating,
                                             const Origin& origin);

}  // namespace engine

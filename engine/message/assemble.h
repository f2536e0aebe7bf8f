// The object form of a content: checks every part of it and writes the program of the mail.
#pragma once

#include <expected>

#include "engine/message/content.h"
#include "engine/message/program.h"

namespace engine {

std::expected<Program, Problems> assemble_program(const MailParts& parts, const Origin& origin);

}  // namespace engine

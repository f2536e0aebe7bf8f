// What the words of a script's lines mean (script.h).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/smtp/credentials.h"
#include "engine/smtp/session.h"

namespace engine::testing {

std::vector<std::string> split(const std::string& text, const std::string& by);
std::vector<std::string> words(const std::string& text);
/// \r \n \s (space) and \xNN.
std::string unescape(const std::string& text);
std::string stuffed(std::string_view content);
Mail parse_mail(const std::string& text);
std::shared_ptr<const Credentials> parse_credentials(const std::string& text);
/// "RCPT TO:<r1@x>…<r99@x>" stands for the commands from 1 to 99, "250 ok*99" for so many replies.
std::vector<std::string> repeated(const std::string& part);

struct Knowledge {
    SessionPlan plan{.depth = Depth::envelope};
    std::shared_ptr<HostTraits> traits = std::make_shared<HostTraits>();
};
Knowledge parse_knowledge(const std::string& text);
std::string known_to_be(const HostTraits& traits);

}  // namespace engine::testing

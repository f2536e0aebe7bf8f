// How the clients tell of a refusal by the daemon.
#pragma once

#include <string>
#include <string_view>

namespace ingest {

/// `{"errors":[…]}` as lines "code: message (field); hint"; the body itself when it is not of that
/// form.
std::string readable_errors(int status, std::string_view body);
/// Prints "sluice COMMAND: text" to stderr and returns 1.
int failed(std::string_view command, std::string_view text);

}  // namespace ingest

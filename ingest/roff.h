// Text for man pages.
#pragma once

#include <string>
#include <string_view>

namespace ingest {

/// Text that roff takes as it is: backslashes, dashes, a dot or quote at the line's begin.
std::string roff(std::string_view text);

}  // namespace ingest

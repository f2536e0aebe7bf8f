// The console's files as they are in the program: what ingest/console/build makes of its source.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ingest {

struct ConsoleFile {
    std::string name;  // "console.js"; the page itself is "index.html"
    std::string content_type;
    std::string_view text;
    std::string packed;  // the same by gzip
    std::string digest;  // of the text, in hex
};

/// Packs them; takes some milliseconds.
std::vector<ConsoleFile> console_files();

/// Made by CMake from ingest/console/dist.
extern const char* const console_html;
extern const char* const console_script;
extern const char* const console_style;

}  // namespace ingest

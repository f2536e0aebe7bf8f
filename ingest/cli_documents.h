// What is made of the declarations of the commands: man pages and shell completions. There is no
// second list of words.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace ingest {

/// man(7) source of the page of `command`, or of the whole program when it is the program.
std::string man_page(const CLI::App& program, const CLI::App& command);

/// sluice.1, a page for each command and sluice.toml.5, into a folder; how many.
std::expected<size_t, std::string> write_man_pages(const CLI::App& program,
                                                   const std::string& folder);

/// A script for bash, zsh or fish.
std::string completion(const CLI::App& program, std::string_view shell);

}  // namespace ingest

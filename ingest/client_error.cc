#include "ingest/client_error.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ingest/terminal.h"

namespace ingest {

std::string readable_errors(int status, std::string_view body) {
    const auto document = nlohmann::json::parse(body, nullptr, false);
    const bool known =
        document.is_object() && document.contains("errors") && document["errors"].is_array();
    if (!known) return fmt::format("HTTP {}: {}", status, printable(body.substr(0, 300)));
    std::string lines;
    for (const auto& error : document["errors"]) {
        const auto field = [&](const char* name) {
            return error.is_object() && error.contains(name) && error[name].is_string()
                       ? printable(error[name].get<std::string>())
                       : std::string();
        };
        if (!lines.empty()) lines += '\n';
        lines += fmt::format("{}: {}", field("code"), field("message"));
        if (const auto path = field("field"); !path.empty()) lines += fmt::format(" ({})", path);
        if (const auto hint = field("hint"); !hint.empty()) lines += "; " + hint;
    }
    return lines;
}

int failed(std::string_view command, std::string_view text) {
    fmt::print(stderr, "sluice {}: {}\n", command, text);
    return 1;
}

}  // namespace ingest

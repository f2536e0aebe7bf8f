// sluice import kumo-shaping: another engine's file, as a file of ours.
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/shaping_import.h"

namespace ingest {

namespace {
constexpr size_t file_bytes_max = 4 << 20;

std::expected<std::string, std::string> contents_of(const std::string& path) {
    std::error_code none;
    std::ifstream in(path, std::ios::binary);
    if (!in) return std::unexpected(fmt::format("{}: {}", path, std::strerror(errno)));
    if (std::filesystem::is_directory(path, none))
        return std::unexpected(path + ": it is a directory; name a file");
    std::string text(file_bytes_max + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(in.gcount()));
    if (text.size() > file_bytes_max) return std::unexpected(path + ": it is too large");
    return text;
}
}  // namespace

int import_shaping(const ImportOptions& options) {
    const auto text = contents_of(options.file);
    if (!text) return failed("import", text.error());
    const auto made = import_kumo_shaping(*text, options.file);
    if (!made) return failed("import", to_string(made.error()));
    if (options.output == Output::json) {
        const nlohmann::ordered_json out = {{"toml", made->toml},
                                            {"warnings", made->warnings},
                                            {"providers", made->providers},
                                            {"domains", made->domains},
                                            {"automation", made->rules}};
        fmt::print("{}\n",
                   out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
        return 0;
    }
    fmt::print("{}", made->toml);
    for (const std::string& warning : made->warnings) fmt::print(stderr, "{}\n", warning);
    fmt::print(stderr,
               "{} providers, {} domains, {} rules; {} things to look at, each a comment at its "
               "place\n",
               made->providers, made->domains, made->rules, made->warnings.size());
    return 0;
}

}  // namespace ingest

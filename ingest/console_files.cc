#include "ingest/console_files.h"

#include <fmt/format.h>

#include "ingest/digest.h"
#include "ingest/gzip.h"
#include "metrics/check.h"

namespace ingest {

std::vector<ConsoleFile> console_files() {
    std::vector<ConsoleFile> files;
    const auto add = [&](const char* name, const char* type, std::string_view text) {
        auto packed = gzipped(text);
        CHECK(packed.has_value(), "zlib cannot pack a text in memory");
        std::string digest;
        for (const unsigned char octet : plain_sha256(text).substr(0, 12))
            digest += fmt::format("{:02x}", octet);
        files.push_back({name, type, text, std::move(*packed), std::move(digest)});
    };
    add("index.html", "text/html; charset=utf-8", console_html);
    add("console.js", "text/javascript; charset=utf-8", console_script);
    add("console.css", "text/css; charset=utf-8", console_style);
    return files;
}

}  // namespace ingest

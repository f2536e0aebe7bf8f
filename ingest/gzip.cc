#include "ingest/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

namespace ingest {

std::expected<std::string, std::string> gzipped(std::string_view text) {
    constexpr int with_gzip_header = 15 + 16, memory_default = 8;
    z_stream stream{};
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, with_gzip_header, memory_default,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return std::unexpected("zlib can not start");
    std::string out(deflateBound(&stream, text.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    const int status = deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    if (status != Z_STREAM_END) return std::unexpected("zlib failed");
    return out;
}

}  // namespace ingest

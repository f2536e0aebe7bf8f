#include "bench/sink/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace sink {
namespace {

constexpr size_t gathered_max = 64 * 1024;

}  // namespace

Journal::Journal(const std::filesystem::path& digests, std::filesystem::path keep)
    : keep_(std::move(keep)) {
    if (!digests.empty()) {
        file_ = ::open(digests.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (file_ < 0)
            throw std::runtime_error(
                fmt::format("--digest {}: {}", digests.string(), std::strerror(errno)));
    }
    if (!keep_.empty()) std::filesystem::create_directories(keep_);
}

Journal::~Journal() {
    flush();
    if (file_ >= 0) ::close(file_);
}

Keep Journal::wants() const {
    if (!keep_.empty()) return Keep::digest_and_octets;
    return file_ >= 0 ? Keep::digest : Keep::nothing;
}

bool Journal::record(const Envelope& envelope, Body& body) {
    if (wants() == Keep::nothing) return true;
    ++number_;
    if (!keep_.empty()) {
        std::ofstream file(keep_ / fmt::format("{:08}.eml", number_), std::ios::binary);
        file.write(body.octets().data(), std::streamsize(body.octets().size()));
        if (!file.flush()) return false;
    }
    if (file_ < 0) return true;
    fmt::format_to(std::back_inserter(lines_), "{}\t{}\t{}\t{}\t", number_, body.digest(),
                   body.size(), envelope.sender.empty() ? "<>" : envelope.sender);
    for (size_t i = 0; i < envelope.recipients.size(); ++i) {
        if (i > 0) lines_ += ',';
        lines_ += envelope.recipients[i];
    }
    lines_ += '\n';
    return lines_.size() < gathered_max || flush();
}

bool Journal::flush() {
    size_t written = 0;
    while (written < lines_.size()) {
        ssize_t n = ::write(file_, lines_.data() + written, lines_.size() - written);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        written += size_t(n);
    }
    lines_.erase(0, written);
    return lines_.empty();
}

}  // namespace sink

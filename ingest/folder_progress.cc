#include "ingest/folder_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace ingest {

namespace {
constexpr auto look_every = std::chrono::milliseconds(200);
constexpr auto stop_check = std::chrono::milliseconds(20);
}  // namespace

uint64_t folder_bytes(const std::filesystem::path& folder) {
    namespace fs = std::filesystem;
    uint64_t bytes = 0;
    std::error_code error;
    for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
         at.increment(error)) {
        std::error_code gone;
        if (!at->is_regular_file(gone)) continue;
        const uint64_t size = at->file_size(gone);
        if (!gone) bytes += size;
    }
    return bytes;
}

FolderProgress::FolderProgress(std::filesystem::path folder, uint64_t expected_bytes)
    : thread_([this, folder = std::move(folder), expected_bytes](const std::stop_token& ended) {
          look(ended, folder, expected_bytes);
      }) {}

void FolderProgress::look(const std::stop_token& ended, const std::filesystem::path& folder,
                          uint64_t expected_bytes) {
    auto due = std::chrono::steady_clock::now() + look_every;
    while (!ended.stop_requested()) {
        std::this_thread::sleep_for(stop_check);
        if (std::chrono::steady_clock::now() < due) continue;
        due += look_every;
        const auto bytes = static_cast<double>(folder_bytes(folder));
        const auto whole = static_cast<double>(expected_bytes);
        line_.show(whole > 0 ? std::min(bytes / whole, 1.0) : -1,
                   whole > 0 ? fmt::format("{} of {}", short_size(bytes), short_size(whole))
                             : short_size(bytes));
    }
}

}  // namespace ingest

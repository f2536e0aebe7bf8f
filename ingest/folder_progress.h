// FolderProgress: while somebody else fills a folder, shows on stderr how far it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <thread>

#include "ingest/terminal.h"

namespace ingest {

/// What its files hold. Files that come and go meanwhile count or do not.
uint64_t folder_bytes(const std::filesystem::path& folder);

class FolderProgress {
  public:
    /// `expected_bytes` 0: unknown.
    FolderProgress(std::filesystem::path folder, uint64_t expected_bytes);
    FolderProgress(const FolderProgress&) = delete;
    FolderProgress& operator=(const FolderProgress&) = delete;
    ~FolderProgress() = default;  // joins; the line is gone

  private:
    void look(const std::stop_token& ended, const std::filesystem::path& folder,
              uint64_t expected_bytes);

    ProgressLine line_;  // the thread's alone, until it has ended
    std::jthread thread_;
};

}  // namespace ingest

// What is kept of accepted messages: a line of digests, and whole messages when asked for.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "bench/sink/body.h"

namespace sink {

struct Envelope {
    std::string sender;
    std::vector<std::string> recipients;
};

class Journal {
  public:
    /// Appends to `digests` (none when empty) one line a message: number, SHA-256, octets, sender
    /// and recipients joined by commas, separated by tabs; the null sender is <>. Stores messages
    /// as <keep>/<number>.eml (none when empty). Throws std::runtime_error when a file cannot be
    /// made.
    Journal(const std::filesystem::path& digests, std::filesystem::path keep);
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    Keep wants() const;

    /// Records a message that is about to be answered with 250. False: a write failed, do not
    /// accept it.
    bool record(const Envelope& envelope, Body& body);

    /// Writes what record() gathered. False: the disk refused.
    bool flush();

  private:
    int file_ = -1;
    std::filesystem::path keep_;
    std::string lines_;
    uint64_t number_ = 0;
};

}  // namespace sink

// What the command line writes for people: colour only where it is welcome, numbers that can be
// read, tables, progress.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingest {

enum class Colour : uint8_t { plain, good, warning, bad, faint };

/// True when `fd` is a terminal and NO_COLOR is not set.
bool wants_colour(int fd);
/// `text` in a colour, or as it is when standard output takes none.
std::string coloured(std::string_view text, Colour colour);

/// Text of strangers made harmless for a terminal, on one line: line ends become spaces, other
/// control characters '?'. UTF-8 stays.
std::string printable(std::string_view text);
std::string grouped(uint64_t number);                        // "1,234,567"
std::string short_duration(std::chrono::milliseconds time);  // "1.2 s", "3 min 20 s", "2 d 4 h"
std::string short_size(double bytes);                        // "12.3 MiB"

/// Rows under each other, columns padded to the widest cell.
class Table {
  public:
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    bool empty() const { return rows_.empty(); }
    std::string text(std::string_view indent) const;

  private:
    std::vector<std::vector<std::string>> rows_;
};

/// A line on stderr that is drawn over itself; nothing when stderr is no terminal.
class ProgressLine {
  public:
    ProgressLine();
    ~ProgressLine() { clear(); }
    /// At most ten times a second; `share` from 0 to 1, negative when unknown.
    void show(double share, std::string_view text);
    void clear();

  private:
    bool active_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point last_{};
};

}  // namespace ingest

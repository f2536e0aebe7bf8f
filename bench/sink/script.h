// What the sink answers when it shall not simply accept: a mix of replies for each stage of a
// session, chosen by hash, so that a run with the same recipients meets the same refusals.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bench/arguments.h"

namespace sink {

enum class Stage : uint8_t { connect, hello, mail, rcpt, data, final, other };
constexpr size_t stages = 7;
std::string_view name(Stage stage);

struct Reply {
    unsigned code = 0;  // 0: no reply, the connection is dropped
    std::string line;   // with CRLF

    bool drop() const { return code == 0; }
    bool lasting() const { return code >= 500; }
};

/// "2% 550 5.1.1 no such user, 3% 451 4.7.1 greylisted, 0.5% drop": shares of what a stage answers.
class Mix {
  public:
    /// Errors: the entry that is wrong and the form it should have; shares above 100%; a code
    /// outside 400-599.
    static bench::Parsed<Mix> parse(std::string_view text);

    /// The reply for this hash, or null: the stage goes well.
    const Reply* choose(uint64_t hash) const;
    bool empty() const { return entries_.empty(); }

  private:
    struct Entry {
        uint64_t below = 0;  // the entry is for hashes under this share of 2^32
        Reply reply;
    };
    std::vector<Entry> entries_;
};

/// The mixes of all stages and the memory of who was turned away how often.
class Script {
  public:
    /// Recipients remembered as turned away. When that many are known the next ones are accepted at
    /// once.
    static constexpr size_t remembered_max = 4'000'000;

    std::array<Mix, stages> mixes;

    /// A key that met a 4xx or a drop is accepted on this try; 0: never. 5xx replies last for ever.
    unsigned accept_on_try = 2;

    /// The reply to `key` (a recipient; the first of the transaction at data and final), or null:
    /// accept. Counts the try.
    const Reply* choose(Stage stage, std::string_view key);

    /// The reply for the n-th event of a stage that has no recipient yet (connect, mail).
    const Reply* choose(Stage stage, uint64_t ordinal) const;

  private:
    std::unordered_map<uint64_t, unsigned> tries_;
};

}  // namespace sink

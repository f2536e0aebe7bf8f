// ContentBlocks: a content as it goes over the wire, in blocks for one write each: dot-stuffed
// behind DATA (RFC 5321 4.5.2), or as it is behind a BDAT (RFC 3030).
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/smtp/dot_stuff.h"
#include "engine/smtp/transaction.h"

namespace engine {

class ContentBlocks {
  public:
    /// `content` must outlive it.
    ContentBlocks(std::string_view content, Transaction::ContentBy by);

    /// The next block; never when done(). Behind DATA it is valid until the next call, behind a
    /// BDAT for as long as this and the content live.
    std::span<const std::string_view> next();
    bool done() const;
    /// The BDAT in front of the first block; empty behind DATA.
    std::string_view command() const { return command_; }

  private:
    std::optional<DotStuffer> stuffer_;
    std::string command_;  // BDAT; its octets go in front of the first block
    std::string_view rest_;
    bool begun_ = false;
    std::array<std::string_view, 2> block_;
};

}  // namespace engine

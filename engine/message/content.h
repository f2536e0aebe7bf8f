// Content: the mail of a job, compiled once at ingest into literal bytes and placeholders, rendered
// per delivery.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/message/address.h"
#include "engine/message/problem.h"
#include "engine/message/sha256.h"
#include "storage/types.h"

namespace engine {

struct Program;

/// The object form of a content (INTERFACES: POST /v1/messages). All text is UTF-8.
struct MailParts {
    struct Attachment {
        std::string filename, type, bytes;  // bytes: decoded from base64 already
        std::string content_id;             // for inline images; empty: attachment
    };
    std::string from, reply_to, subject;    // may hold placeholders
    std::optional<std::string> to;          // default: the recipient's name and address
    std::optional<std::string> text, html;  // may hold placeholders
    std::vector<std::pair<std::string, std::string>>
        headers;  // further ones, in order; values may hold placeholders
    std::vector<Attachment> attachments;
};

enum class Templating : uint8_t { off, on };

/// Where the job comes from, for the header fields that we add.
struct Origin {
    std::string host;  // right-hand side of Message-ID
    storage::JobId job{};
    storage::WallTime time{};  // for Date
};

/// What rendering needs to know of one delivery.
struct Merge {
    storage::DeliveryId id;
    std::string_view to;    // the address
    std::string_view vars;  // from Content::encode_vars
};

/// Immutable; shared as shared_ptr<const Content> between shards.
class Content {
  public:
    using Vars = std::vector<std::pair<std::string_view, std::string_view>>;

    /// Assembles MIME and compiles the placeholders. All problems at once.
    static std::expected<Content, Problems> assemble(const MailParts& parts, const Origin& origin);
    /// A message as it is. Bare CR and bare LF: refused, except that a message whose line ends are
    /// all LF is taken for one with CRLF.
    static std::expected<Content, Problems> from_raw(std::string_view raw, Templating templating,
                                                     const Origin& origin);

    Content(Content&&) noexcept;
    Content& operator=(Content&&) noexcept;
    ~Content();

    /// For the store. decode(encode()) renders the same bytes; an unknown version or a short record
    /// is an error text.
    std::string encode() const;
    static std::expected<Content, std::string> decode(std::string_view bytes);

    /// Names of the variables that rendering looks at, in slot order ("to", "name" when used as
    /// var, "token"…).
    const std::vector<std::string>& variables() const;
    /// Keeps of `vars` only what this content looks at, compactly, for Delivery::vars.
    std::string encode_vars(const Vars& vars) const;

    /// True when every delivery gets the same bytes, so that one transaction may carry many
    /// recipients.
    bool same_for_all() const;
    /// The whole message: CRLF line ends, ends in CRLF, not dot-stuffed, no line over 998 octets.
    /// Missing variables render as their default or as nothing. Never fails: what could fail was
    /// refused at compile time; a value that a header cannot hold (CR, LF, NUL) was refused at
    /// ingest by check_vars and is dropped here.
    std::string render(const Merge& merge) const;
    /// What encode_vars would take, checked: CR, LF, NUL in a value that a header uses are named
    /// problems.
    Problems check_vars(const Vars& vars, std::string_view field_prefix) const;

    /// relaxed_body_hash of what render gives, when that is the same for every delivery: hashed at
    /// the first call, from any thread, and known from then on.
    std::optional<Sha256> constant_body_hash() const;

    bool eight_bit() const;    // may render octets above 127 (headers too)
    bool utf8_header() const;  // its header holds them as they are: needs SMTPUTF8 (RFC 6532)
    uint64_t bytes() const;    // memory that it holds
    uint64_t rendered_bytes_hint() const;

  private:
    struct State;
    static std::expected<Content, Problems> from_program(Program program);
    explicit Content(std::shared_ptr<const State> state);
    std::shared_ptr<const State> state_;
};

}  // namespace engine

#include "engine/message/dkim.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/message/encode.h"
#include "engine/message/entity.h"
#include "engine/message/headers.h"
#include "engine/message/relaxed.h"

namespace engine {
namespace {

constexpr size_t line_aim = 76;

/// A name is listed once for each field that the mail has, and these once more. So a field that
/// somebody adds on the way breaks the signature, whether or not the mail has one of them: mail
/// programs show the first, a verifier takes the last.
constexpr std::array<std::string_view, 7> always_closed = {
    "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post"};
/// These too, but only when the mail has them: a mailing list that adds its own breaks nothing.
constexpr std::array<std::string_view, 10> closed_when_there = {
    "Sender",       "Reply-To",     "Cc",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
    "In-Reply-To",  "References",   "List-Id",
    "Feedback-ID"};

struct SignedHeader {
    std::string names;  // for h=
    std::string text;   // relaxed
};

SignedHeader sign_header(std::string_view header) {
    const Entity entity = split_entity(header);
    SignedHeader result;
    result.text.reserve(header.size());
    const auto list = [&](std::string_view name) {
        if (!result.names.empty()) result.names += ':';
        result.names += name;
    };
    const auto cover = [&](std::string_view name) {
        bool there = false;
        for (size_t i = entity.fields.size(); i-- > 0;) {  // a verifier takes them from the end
            if (!same_name(entity.fields[i].name, name)) continue;
            list(name);
            append_relaxed_field(result.text, entity.fields[i].whole);
            there = true;
        }
        return there;
    };
    for (const std::string_view name : always_closed) {
        cover(name);
        list(name);
    }
    for (const std::string_view name : closed_when_there)
        if (cover(name)) list(name);
    return result;
}

/// Writes "tag=value; " in lines of a sane length. Values break only where the grammar of their tag
/// allows blanks.
class TagWriter {
  public:
    explicit TagWriter(std::string& field) : out_(field) {}

    void tag(std::string_view name, std::string_view value) {
        begin(name, value.size());
        out_ += value;
        out_ += ';';
    }
    /// A list of names; breaks behind colons.
    void names(std::string_view name, std::string_view value) {
        begin(name, std::min(value.find(':'), value.size()));
        for (size_t at = 0; at < value.size();) {
            const size_t colon = value.find(':', at);
            const size_t end = colon == std::string_view::npos ? value.size() : colon + 1;
            if (column() + end - at > line_aim) fold();
            out_ += value.substr(at, end - at);
            at = end;
        }
        out_ += ';';
    }
    /// Opens the last tag: b=, whose value comes later.
    void open(std::string_view name) { begin(name, line_aim); }
    void base64(std::string_view value) {
        while (!value.empty()) {
            const size_t room = std::min(line_aim - std::min(column(), line_aim - 1), value.size());
            out_ += value.substr(0, room);
            value.remove_prefix(room);
            if (!value.empty()) fold();
        }
    }

  private:
    size_t column() const { return out_.size() - line_; }
    void fold() {
        out_ += "\r\n";
        line_ = out_.size();
        out_ += '\t';
    }
    void begin(std::string_view name, size_t value_size) {
        if (column() + name.size() + value_size + 3 > line_aim)
            fold();
        else
            out_ += ' ';
        out_ += name;
        out_ += '=';
    }

    std::string& out_;
    size_t line_ = 0;  // where the current line begins
};

}  // namespace

std::string dkim_signatures(std::string_view header, const Sha256& body_hash,
                            std::span<const DkimIdentity> identities,
                            std::chrono::sys_seconds time) {
    SignedHeader covered = sign_header(header);
    const size_t covered_size = covered.text.size();
    const std::string body =
        base64({reinterpret_cast<const char*>(body_hash.data()), body_hash.size()});
    const std::string seconds = fmt::to_string(time.time_since_epoch().count());
    std::string fields;
    for (const DkimIdentity& identity : identities) {
        std::string field = "DKIM-Signature:";
        TagWriter writer(field);
        writer.tag("v", "1");
        writer.tag("a", identity.key->algorithm());
        writer.tag("c", "relaxed/relaxed");
        writer.tag("d", identity.domain);
        writer.tag("s", identity.selector);
        writer.tag("t", seconds);
        writer.names("h", covered.names);
        writer.tag("bh", body);
        writer.open("b");
        covered.text.resize(covered_size);
        append_relaxed_field(covered.text, field);
        covered.text.resize(covered.text.size() - 2);  // without its CRLF (RFC 6376 3.7)
        writer.base64(base64(identity.key->sign(sha256(covered.text))));
        fields += field;
        fields += "\r\n";
    }
    return fields;
}

size_t header_size(std::string_view message) {
    if (message.starts_with("\r\n")) return 0;
    const size_t end = message.find("\r\n\r\n");
    return end == std::string_view::npos ? message.size() : end + 2;
}

}  // namespace engine

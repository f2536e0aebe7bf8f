// MIME on its way out: a tree of parts, written into a program. Knows media types, boundaries and
// file names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/message/program.h"
#include "engine/message/template.h"
#include "storage/types.h"

namespace engine {

/// A leaf has `body` (already transfer-encoded) or `pieces` (quoted-printable, with placeholders);
/// a multipart has parts.
struct MimePart {
    std::string header;  // Content-* lines with CRLF; of a multipart its subtype alone ("mixed")
    std::string body;
    std::vector<Piece> pieces;
    Op::Escape escape = Op::Escape::none;
    std::vector<MimePart> parts;
};

/// A text with or without placeholders. What has them goes as quoted-printable, because a value may
/// be long or not ASCII; without them plain short ASCII lines stay as they are, and the rest takes
/// the shorter encoding.
MimePart text_part(std::string_view subtype, std::string_view text, std::vector<Piece> pieces);
MimePart attachment_part(std::string_view type, std::string_view filename,
                         std::string_view content_id, std::string_view octets);
/// One part is given back as it is.
MimePart multipart(std::string_view subtype, std::vector<MimePart> parts);

/// Writes MIME-Version, the part's header, the empty line and the body. Boundaries come from the
/// job's id and begin with "=_", which neither quoted-printable nor base64 can hold, nor a plain
/// part of text_part.
void write_mime(ProgramBuilder& out, const MimePart& part, storage::JobId job);

/// "; name=value" on lines of its own (RFC 2231): quoted when it is short plain ASCII, else
/// percent-encoded, continued over lines.
std::string encoded_parameter(std::string_view name, std::string_view value);

/// "type/subtype", with well-formed parameters if any.
bool is_media_type(std::string_view type);
bool is_content_id(std::string_view id);  // without '<' and '>'

}  // namespace engine

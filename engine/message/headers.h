// What header fields must be: names, which of them may stand once, and the ones that we add (Date,
// Message-ID).
#pragma once

#include <string>
#include <string_view>

#include "storage/types.h"

namespace engine {

/// RFC 5322 2.2: printable ASCII without ':'; at most header_name_octets_max.
bool is_field_name(std::string_view name);
/// ASCII case does not count.
bool same_name(std::string_view a, std::string_view b);
/// Fields that a message has at most once (RFC 5322 3.6, RFC 2045).
bool is_single_field(std::string_view name);
/// CR, LF or NUL, which no field may hold.
bool has_line_end_or_nul(std::string_view text);
/// The longest stretch without a blank, where alone a line may be folded.
size_t longest_word(std::string_view text);

/// "Sun, 22 Nov 2026 13:00:00 +0000"
std::string date_text(storage::WallTime time);
/// The right-hand side of Message-ID: `host` when it is a name, else "localhost".
std::string message_id_host(std::string_view host);

}  // namespace engine

#include "engine/smtp/sendable.h"

#include <string>

#include "engine/smtp/commands.h"
#include "engine/smtp/dot_stuff.h"

namespace engine {

std::optional<Reply> unsendable(const Mail& mail, const Capabilities& host) {
    const size_t bytes = mail.content->size();
    if (host.size_max > 0 && bytes > host.size_max) {
        return Reply{552, "5.3.4",
                     "the mail has " + std::to_string(bytes) +
                         " octets and the host takes at most " + std::to_string(host.size_max) +
                         "; nothing was sent"};
    }
    if (mail.eight_bit && !host.eight_bit_mime) {
        return Reply{554, "5.6.3",
                     "the mail has 8-bit content and the host does not offer 8BITMIME; nothing was "
                     "sent. Encode the parts as quoted-printable or base64"};
    }
    if (needs_smtp_utf8(mail) && !host.smtp_utf8) {
        const char* const what = mail.utf8_headers ? "a header field" : "an address";
        return Reply{550, "5.6.7",
                     std::string(what) +
                         " is not ASCII and the host does not offer SMTPUTF8; nothing was sent"};
    }
    if (mail.require_tls && !host.require_tls) {
        return Reply{550, "5.7.30",
                     "the mail asks for REQUIRETLS and the host does not offer it; nothing was "
                     "sent"};
    }
    if (const size_t at = find_bare_line_end(*mail.content); at != std::string_view::npos) {
        return Reply{554, "5.6.0",
                     "the mail holds a bare CR or LF at octet " + std::to_string(at) +
                         ", which SMTP cannot carry; nothing was sent"};
    }
    return std::nullopt;
}

}  // namespace engine

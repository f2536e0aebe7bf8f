#include "ingest/smtp_chunks.h"

namespace ingest {

void SmtpChunks::take(std::string_view octets) {
    if (octets.empty()) return;
    bytes_ += octets.size();
    if (too_large()) {
        std::string().swap(message_);
    } else {
        message_ += octets;
    }
    size_t at = 0;
    if (after_cr_) {
        bare_ |= octets.front() != '\n';
        after_cr_ = false;
        at = octets.front() == '\n' ? 1 : 0;
    }
    while (!bare_) {
        const size_t cr = octets.find('\r', at);
        bare_ = octets.substr(at, cr - at).contains('\n');
        if (cr == std::string_view::npos) return;
        after_cr_ = cr + 1 == octets.size();
        if (after_cr_) return;
        bare_ |= octets[cr + 1] != '\n';
        at = cr + 2;
    }
}

}  // namespace ingest

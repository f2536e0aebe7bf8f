#include "ingest/smtp_data.h"

#include <algorithm>

namespace ingest {

size_t SmtpData::take(std::string_view bytes) {
    size_t i = 0;
    while (i < bytes.size() && progress_ == Progress::more) {
        const char c = bytes[i];
        switch (at_) {
            case At::line_start:
                if (c == '.') {
                    at_ = At::dot;
                    ++i;
                } else {
                    at_ = At::text;
                }
                break;
            case At::dot:  // taken off; what follows is the line, or the end
                if (c == '\r') {
                    at_ = At::dot_cr;
                    ++i;
                } else {
                    at_ = At::text;
                }
                break;
            case At::dot_cr:
                progress_ = c == '\n' ? Progress::complete : Progress::bare_cr;
                ++i;
                break;
            case At::cr:
                if (c == '\n') {
                    keep("\r\n");
                    at_ = At::line_start;
                } else {
                    progress_ = Progress::bare_cr;
                }
                ++i;
                break;
            case At::text:
                i += take_text(bytes.substr(i));
                break;
        }
    }
    return i;
}

/// Whole lines as long as they begin without a dot, so that most content is copied once per
/// segment.
size_t SmtpData::take_text(std::string_view bytes) {
    size_t line = 0;
    for (;;) {
        const size_t cr = bytes.find('\r', line);
        const std::string_view text = bytes.substr(line, cr - line);
        if (const size_t lf = text.find('\n'); lf != std::string_view::npos) {
            progress_ = Progress::bare_lf;
            return line + lf + 1;
        }
        if (cr == std::string_view::npos) {
            keep(bytes);
            at_ = line == bytes.size() ? At::line_start : At::text;
            return bytes.size();
        }
        if (!bytes.substr(cr + 1).starts_with('\n')) {  // bare, or its LF is still to come
            keep(bytes.substr(0, cr));
            at_ = At::cr;
            return cr + 1;
        }
        line = cr + 2;
        if (bytes.substr(line).starts_with('.')) {
            keep(bytes.substr(0, line));
            at_ = At::line_start;
            return line;
        }
    }
}

void SmtpData::keep(std::string_view bytes) {
    bytes_ += bytes.size();
    if (too_large()) {
        std::string().swap(message_);
    } else {
        message_ += bytes;
    }
}

}  // namespace ingest

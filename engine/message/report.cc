#include "engine/message/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/message/encode.h"
#include "engine/message/headers.h"
#include "storage/ids.h"

namespace engine {

namespace {

using Action = StatusReport::Action;

constexpr size_t line_octets_max = 76;     // where lines are folded; RFC 5322 allows 998
constexpr size_t reply_octets_max = 2000;  // of a host's reply; more helps nobody
constexpr size_t subject_octets_max = 200;

/// Printable ASCII in one line: what hosts say ends in a header field.
std::string plain(std::string_view text, size_t octets_max = reply_octets_max) {
    std::string out(text.substr(0, octets_max));
    for (char& c : out) {
        if (c == '\n' || c == '\r' || c == '\t') c = ' ';
        if (c < ' ' || c > '~') c = '?';
    }
    return out;
}

/// "Name: words…" folded at blanks. A word without any stays whole up to what a line may hold.
std::string folded(std::string_view name, std::string_view value) {
    std::string out(name);
    out += ": ";
    size_t column = out.size();
    bool first = true;
    for (size_t at = 0; at < value.size();) {
        const size_t blank = std::min(value.find(' ', at), value.size());
        std::string_view word = value.substr(at, blank - at);
        at = blank + 1;
        if (word.empty()) continue;
        word = word.substr(0, 900);
        if (!first && column + 1 + word.size() > line_octets_max) {
            out += "\r\n ";
            column = 1;
        } else if (!first) {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
        first = false;
    }
    return out += "\r\n";
}

/// An address for message/delivery-status, which is ASCII: beyond it in the form of RFC 6533 3,
/// "\x{F6}".
std::string typed_address(std::string_view address) {
    if (is_ascii(address)) return "rfc822; " + plain(address);
    std::string out = "utf-8; ";
    for (size_t at = 0; at < address.size();) {
        const size_t length = utf8_sequence(address, at);
        const auto lead = static_cast<unsigned char>(address[at]);
        if (length <= 1) {
            out += length == 1 && lead > ' ' && lead < 0x7f ? address[at] : '?';
            ++at;
            continue;
        }
        uint32_t point = lead & (0x7fu >> length);
        for (size_t i = 1; i < length; ++i)
            point = point << 6 | (static_cast<unsigned char>(address[at + i]) & 0x3fu);
        out += fmt::format("\\x{{{:X}}}", point);
        at += length;
    }
    return out;
}

std::string original_recipient(std::string_view orcpt) {
    const size_t semicolon = orcpt.find(';');
    if (semicolon == std::string_view::npos) return typed_address(orcpt);
    return plain(orcpt.substr(0, semicolon)) + "; " +
           typed_address(orcpt.substr(semicolon + 1)).substr(typed_address("").size());
}

std::string_view headline(Action action) {
    switch (action) {
        case Action::failed:
            return "Undelivered mail";
        case Action::delayed:
            return "Delayed mail (still being tried)";
        case Action::relayed:
            break;
    }
    return "Delivered mail";
}

std::string_view introduction(Action action) {
    switch (action) {
        case Action::failed:
            return "Your mail could not be delivered to the recipients below, and nothing more "
                   "will "
                   "be tried.";
        case Action::delayed:
            return "Your mail has not been delivered to the recipients below yet. You need not do "
                   "anything: it is tried again.";
        case Action::relayed:
            break;
    }
    return "Your mail was handed over for the recipients below to a host that sends no "
           "confirmations of delivery itself. None may follow.";
}

/// A text part: as it is when it is plain, else quoted-printable.
std::string text_part(std::string_view type, std::string_view text) {
    bool is_plain = is_ascii(text);
    for (size_t at = 0; is_plain && at < text.size();) {
        const size_t end = std::min(text.find("\r\n", at), text.size());
        is_plain = end - at <= 998;
        at = end + 2;
    }
    std::string part = fmt::format("Content-Type: {}; charset=utf-8\r\n", type);
    if (is_plain) {
        part += "Content-Transfer-Encoding: 7bit\r\n\r\n";
        part += text;
    } else {
        part += "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
        append_quoted_printable(part, text, 0);
    }
    return part;
}

std::string for_people(const StatusReport& report) {
    std::string text = fmt::format("This is {}.\r\n\r\n{}\r\n", report.reporting_host,
                                   introduction(report.action));
    for (const StatusReport::Recipient& one : report.recipients) {
        text += fmt::format("\r\n<{}>\r\n", clean_utf8(one.address));
        if (!one.host.empty() && !one.reply.empty())
            text += fmt::format("    {} said: {}\r\n", plain(one.host), plain(one.reply));
        else if (!one.words.empty())
            text += fmt::format("    {}\r\n", plain(one.words));
        if (report.action == Action::delayed && one.retried_until)
            text += fmt::format("    It is tried until {}.\r\n", date_text(*one.retried_until));
    }
    return text;
}

std::string for_programs(const StatusReport& report) {
    std::string text = folded("Reporting-MTA", "dns; " + plain(report.reporting_host));
    if (!report.envid.empty()) text += folded("Original-Envelope-Id", plain(report.envid));
    text += folded("Arrival-Date", date_text(report.arrival));
    for (const StatusReport::Recipient& one : report.recipients) {
        text += "\r\n";
        if (!one.original.empty())
            text += folded("Original-Recipient", original_recipient(one.original));
        text += folded("Final-Recipient", typed_address(one.address));
        text += folded("Action", to_string(report.action));
        text += folded("Status", plain(one.status));
        if (!one.host.empty()) text += folded("Remote-MTA", "dns; " + plain(one.host));
        if (!one.reply.empty())
            text += folded("Diagnostic-Code", "smtp; " + plain(one.reply));
        else if (!one.words.empty())
            text += folded("Diagnostic-Code", "x-sluice; " + plain(one.words));
        if (one.last_attempt) text += folded("Last-Attempt-Date", date_text(*one.last_attempt));
        if (report.action == Action::delayed && one.retried_until)
            text += folded("Will-Retry-Until", date_text(*one.retried_until));
    }
    return text;
}

std::string_view header_of(std::string_view mail) {
    const size_t end = mail.find("\r\n\r\n");
    return end == std::string_view::npos ? mail : mail.substr(0, end + 2);
}

std::string subject_of(std::string_view header) {
    for (size_t at = 0; at < header.size();) {
        const size_t end = std::min(header.find("\r\n", at), header.size());
        const std::string_view line = header.substr(at, end - at);
        at = end + 2;
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos || !same_name(line.substr(0, colon), "Subject"))
            continue;
        std::string_view value = line.substr(colon + 1);
        // One that goes on in a further line is left out: half an encoded-word would be none.
        if (at < header.size() && (header[at] == ' ' || header[at] == '\t')) return {};
        if (value.starts_with(' ')) value.remove_prefix(1);
        return is_ascii(value) && value.size() <= subject_octets_max ? std::string(value)
                                                                     : std::string{};
    }
    return {};
}

std::string original_part(const StatusReport& report) {
    const bool whole = report.give_back == StatusReport::Return::full;
    if (!whole) return text_part("text/rfc822-headers", header_of(report.original));
    return fmt::format("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: {}\r\n\r\n{}",
                       is_ascii(report.original) ? "7bit" : "8bit", report.original);
}

}  // namespace

std::string_view to_string(Action action) {
    switch (action) {
        case Action::failed:
            return "failed";
        case Action::delayed:
            return "delayed";
        case Action::relayed:
            break;
    }
    return "relayed";
}

std::string write_report(const StatusReport& report) {
    // The id is new, so what is given back cannot hold the boundary.
    const std::string boundary = "=_report_" + storage::to_text(report.id);
    std::string subject(headline(report.action));
    if (const std::string of = subject_of(header_of(report.original)); !of.empty())
        subject += ": " + of;
    const bool eight_bit =
        report.give_back == StatusReport::Return::full && !is_ascii(report.original);
    std::string mail = fmt::format("From: Mail Delivery System <MAILER-DAEMON@{}>\r\nTo: <{}>\r\n",
                                   message_id_host(report.reporting_host), report.to);
    mail += folded("Subject", subject);
    mail += fmt::format(
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; "
        "report-type=delivery-status;\r\n boundary=\"{}\"\r\nContent-Transfer-Encoding: {}\r\n\r\n",
        boundary, eight_bit ? "8bit" : "7bit");
    const auto part = [&](const std::string& text) {
        mail += "--" + boundary + "\r\n" + text;
        if (!mail.ends_with("\r\n")) mail += "\r\n";
        mail += "\r\n";
    };
    part(text_part("text/plain", for_people(report)));
    part("Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" +
         for_programs(report));
    if (!report.original.empty()) part(original_part(report));
    return mail += "--" + boundary + "--\r\n";
}

}  // namespace engine

#include "engine/smtp/commands.h"

#include <algorithm>

#include "metrics/check.h"

namespace engine {

namespace {

void check_argument(std::string_view text) {
    const auto forbidden = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
    CHECK(std::ranges::none_of(text, forbidden),
          "a CR, LF or NUL was to go into an SMTP command: some value was not validated");
}

std::string mail_command(const Mail& mail, const Capabilities& capabilities) {
    std::string command;
    command.reserve(mail.sender.size() + 64);
    command.append("MAIL FROM:<").append(mail.sender).append(">");
    if (capabilities.size) command += " SIZE=" + std::to_string(mail.content->size());
    if (mail.eight_bit && capabilities.eight_bit_mime) command += " BODY=8BITMIME";
    if (capabilities.smtp_utf8 && needs_smtp_utf8(mail)) command += " SMTPUTF8";
    if (capabilities.require_tls && mail.require_tls) command += " REQUIRETLS";
    if (capabilities.dsn && mail.ret != storage::DsnReturn::unstated)
        command += mail.ret == storage::DsnReturn::full ? " RET=FULL" : " RET=HDRS";
    if (capabilities.dsn && !mail.envid.empty()) command += " ENVID=" + xtext(mail.envid);
    return command;
}

std::string notify_parameter(uint8_t bits) {
    if (bits == 0) return {};
    if (bits & storage::notify::never) return " NOTIFY=NEVER";
    std::string value;
    const auto add = [&](uint8_t bit, std::string_view word) {
        if (bits & bit) value.append(value.empty() ? "" : ",").append(word);
    };
    add(storage::notify::success, "SUCCESS");
    add(storage::notify::failure, "FAILURE");
    add(storage::notify::delay, "DELAY");
    return " NOTIFY=" + value;
}

std::string rcpt_command(const MailRecipient& recipient, const Capabilities& capabilities) {
    std::string command;
    command.reserve(recipient.address.size() + 16);
    command.append("RCPT TO:<").append(recipient.address).append(">");
    if (!capabilities.dsn) return command;
    command += notify_parameter(recipient.notify);
    // "rfc822;" stays, the address is encoded. One beyond ASCII has no such form and is left out.
    const std::string_view orcpt = recipient.orcpt;
    const size_t type = orcpt.find(';');
    if (type != std::string_view::npos && !has_eight_bit(orcpt))
        command.append(" ORCPT=")
            .append(orcpt.substr(0, type + 1))
            .append(xtext(orcpt.substr(type + 1)));
    return command;
}

std::string with_argument(std::string_view verb, std::string_view argument) {
    check_argument(argument);
    return std::string(verb).append(argument).append("\r\n");
}

}  // namespace

std::string_view name_of(Step step) {
    switch (step) {
        case Step::reset:
            return "RSET";
        case Step::mail:
            return "MAIL";
        case Step::rcpt:
            return "RCPT";
        case Step::data:
            return "DATA";
        case Step::content:
            return "the content";
    }
    return "";
}

Envelope::Envelope(const Mail& mail, const Capabilities& capabilities, Before before, Tail tail) {
    commands_.reserve(mail.recipients.size() + 3);
    bytes_.reserve(mail.sender.size() + 96 + mail.recipients.size() * 48);
    if (before == Before::reset) add(Step::reset, "RSET");
    add(Step::mail, mail_command(mail, capabilities));
    for (const MailRecipient& recipient : mail.recipients) {
        add(Step::rcpt, rcpt_command(recipient, capabilities));
    }
    if (tail == Tail::data) add(Step::data, "DATA");
}

std::string_view Envelope::bytes(size_t first, size_t count) const {
    const size_t begin = first == 0 ? 0 : commands_[first - 1].end;
    return std::string_view(bytes_).substr(begin, commands_[first + count - 1].end - begin);
}

void Envelope::add(Step step, std::string_view command) {
    check_argument(command);
    bytes_.append(command).append("\r\n");
    commands_.push_back({step, bytes_.size()});
}

std::string ehlo_command(std::string_view name) {
    return with_argument("EHLO ", name);
}
std::string helo_command(std::string_view name) {
    return with_argument("HELO ", name);
}

std::string xtext(std::string_view text) {
    constexpr char digits[] = "0123456789ABCDEF";
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (octet > 32 && octet < 127 && c != '+' && c != '=') {
            result += c;
        } else {
            result += {'+', digits[octet >> 4], digits[octet & 15]};
        }
    }
    return result;
}

bool has_eight_bit(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) > 127; });
}

bool needs_smtp_utf8(const Mail& mail) {
    return mail.utf8_addresses || mail.utf8_headers || has_eight_bit(mail.sender) ||
           std::ranges::any_of(mail.recipients, has_eight_bit, &MailRecipient::address);
}

}  // namespace engine

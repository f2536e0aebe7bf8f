#include "bench/sink/session.h"

#include <fmt/format.h>
#include <strings.h>

#include <charconv>

#include "bench/sink/address.h"

namespace sink {
namespace {

bool same_word(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool starts_with_word(std::string_view text, std::string_view start) {
    return text.size() >= start.size() && same_word(text.substr(0, start.size()), start);
}

/// The word before the first space; takes it and the space away.
std::string_view next_word(std::string_view& text) {
    size_t space = text.find(' ');
    auto word = text.substr(0, space);
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    return word;
}

/// A plain decimal number of at most 18 digits, so that sums cannot overflow.
bool parse_count(std::string_view text, uint64_t& value) {
    if (text.empty() || text.size() > 18) return false;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

unsigned code_of(std::string_view line) {
    return unsigned(line[0] - '0') * 100 + unsigned(line[1] - '0') * 10 + unsigned(line[2] - '0');
}

struct MailParameters {
    uint64_t size = 0;
    bool utf8 = false;
    bool eight_bit = false;
    bool understood = true;
};

MailParameters parse_mail_parameters(std::string_view text) {
    MailParameters parameters;
    while (!text.empty()) {
        auto word = next_word(text);
        if (starts_with_word(word, "SIZE=")) {
            parameters.understood &= parse_count(word.substr(5), parameters.size);
        } else if (same_word(word, "BODY=8BITMIME")) {
            parameters.eight_bit = true;
        } else if (same_word(word, "SMTPUTF8")) {
            parameters.utf8 = true;
        } else if (!same_word(word, "BODY=7BIT")) {
            parameters.understood = false;
        }
    }
    return parameters;
}

}  // namespace

Session::Session(Shared& shared)
    : shared_(shared), body_(shared.journal ? shared.journal->wants() : Keep::nothing) {}

Session::Next Session::greet(uint64_t ordinal, std::string& replies) {
    if (const Reply* reply = shared_.script.choose(Stage::connect, ordinal)) {
        Next next = scripted(Stage::connect, *reply, replies);
        return next == Next::cut ? Next::cut : Next::close;
    }
    return say(Stage::connect, fmt::format("220 {} ESMTP sink\r\n", shared_.policy.host_name),
               replies);
}

Session::Next Session::feed(std::string_view& input, std::string& replies) {
    while (!input.empty() && replies.size() < replies_octets_max) {
        Next next = Next::read;
        switch (state_) {
            case State::command: {
                size_t newline = input.find('\n');
                if (newline == std::string_view::npos && input.size() <= command_octets_max)
                    return Next::read;
                if (newline > command_octets_max) {
                    shared_.tally.count(Fault::overlong_command);
                    say(Stage::other, "500 5.5.6 command line too long, closing\r\n", replies);
                    return Next::close;
                }
                auto line = input.substr(0, newline);
                input.remove_prefix(newline + 1);
                next = on_command(line, !input.empty(), replies);
                break;
            }
            case State::data:
                input.remove_prefix(body_.take_data(input));
                if (body_.finished()) next = on_message(replies);
                break;
            case State::chunk: {
                auto octets = input.substr(0, chunk_left_);
                if (!chunk_discard_) body_.take_chunk(octets);
                input.remove_prefix(octets.size());
                chunk_left_ -= octets.size();
                if (chunk_left_ == 0) next = on_chunk_end(replies);
                break;
            }
            case State::held:
                return Next::hold;
        }
        if (next != Next::read) return next;
    }
    return Next::read;
}

Session::Next Session::release(std::string& replies) {
    if (state_ != State::held) return Next::read;
    state_ = State::command;
    replies += held_;
    held_.clear();
    return held_next_;
}

Session::Next Session::on_command(std::string_view line, bool more_input, std::string& replies) {
    if (!line.ends_with('\r'))
        return refuse(Stage::other, Fault::bare_newline, "500 5.5.2 a command ends in CR LF\r\n",
                      replies);
    line.remove_suffix(1);
    auto rest = line;
    auto verb = next_word(rest);
    auto alone = [&] {
        if (more_input) shared_.tally.count(Fault::early_input);
    };
    if (same_word(verb, "RCPT")) return on_rcpt(rest, replies);
    if (same_word(verb, "MAIL")) return on_mail(rest, replies);
    if (same_word(verb, "DATA") && rest.empty()) return on_data(more_input, replies);
    if (same_word(verb, "BDAT") && shared_.policy.chunking) return on_bdat(rest, replies);
    if (same_word(verb, "EHLO") || same_word(verb, "HELO")) {
        alone();
        return on_hello(rest, same_word(verb, "EHLO"), replies);
    }
    if (same_word(verb, "RSET") && rest.empty()) {
        reset();
        return say(Stage::other, "250 2.0.0 forgotten\r\n", replies);
    }
    if (same_word(verb, "NOOP")) return say(Stage::other, "250 2.0.0 ok\r\n", replies);
    if (same_word(verb, "VRFY")) return say(Stage::other, "252 2.1.5 send it and see\r\n", replies);
    if (same_word(verb, "HELP")) return say(Stage::other, "214 2.0.0 RFC 5321\r\n", replies);
    if (same_word(verb, "QUIT") && rest.empty()) {
        alone();
        say(Stage::other, "221 2.0.0 bye\r\n", replies);
        return Next::close;
    }
    return refuse(Stage::other, Fault::bad_command, "500 5.5.1 unknown command\r\n", replies);
}

Session::Next Session::on_hello(std::string_view argument, bool extended, std::string& replies) {
    if (argument.empty() || argument.find(' ') != std::string_view::npos)
        return refuse(Stage::hello, Fault::bad_command, "501 5.5.4 one name follows\r\n", replies);
    if (const Reply* reply = shared_.script.choose(Stage::hello, argument))
        return scripted(Stage::hello, *reply, replies);
    reset();
    greeted_ = true;
    const Policy& policy = shared_.policy;
    if (!extended) return say(Stage::hello, fmt::format("250 {}\r\n", policy.host_name), replies);
    return say(
        Stage::hello,
        fmt::format("250-{}\r\n250-PIPELINING\r\n250-SIZE {}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
                    "{}250 ENHANCEDSTATUSCODES\r\n",
                    policy.host_name, policy.message_bytes_max,
                    policy.chunking ? "250-CHUNKING\r\n" : ""),
        replies);
}

Session::Next Session::on_mail(std::string_view argument, std::string& replies) {
    const Policy& policy = shared_.policy;
    if (!greeted_)
        return refuse(Stage::mail, Fault::bad_command, "503 5.5.1 EHLO first\r\n", replies);
    if (has_mail_)
        return refuse(Stage::mail, Fault::bad_command, "503 5.5.1 a transaction is open\r\n",
                      replies);
    if (policy.messages_per_connection > 0 && messages_ >= policy.messages_per_connection) {
        say(Stage::mail, "421 4.7.0 enough messages on this connection\r\n", replies);
        return Next::close;
    }
    if (!starts_with_word(argument, "FROM:"))
        return refuse(Stage::mail, Fault::bad_command, "501 5.5.4 write MAIL FROM:<address>\r\n",
                      replies);
    // The parameters decide whether the address may hold UTF-8, and they stand behind it.
    auto path = parse_path(argument.substr(5), NonAscii::allowed);
    if (!path)
        return refuse(Stage::mail, Fault::bad_address, "501 5.1.7 malformed sender\r\n", replies);
    auto parameters = parse_mail_parameters(path->parameters);
    if (!parameters.understood)
        return refuse(Stage::mail, Fault::bad_command, "555 5.5.4 unknown parameter\r\n", replies);
    if (!parameters.utf8 && !parse_path(argument.substr(5), NonAscii::refused))
        return refuse(Stage::mail, Fault::bad_address, "553 5.6.7 declare SMTPUTF8\r\n", replies);
    if (parameters.size > policy.message_bytes_max)
        return say(Stage::mail, "552 5.3.4 message too large\r\n", replies);
    if (!shared_.allowance.take(std::chrono::steady_clock::now()))
        return say(Stage::mail, "451 4.7.0 message rate limit exceeded, slow down\r\n", replies);
    if (const Reply* reply = shared_.script.choose(Stage::mail, shared_.mails++))
        return scripted(Stage::mail, *reply, replies);
    reset();
    has_mail_ = true;
    utf8_ = parameters.utf8;
    eight_bit_ = parameters.eight_bit;
    declared_size_ = parameters.size;
    envelope_.sender.assign(path->address);
    return say(Stage::mail, "250 2.1.0 ok\r\n", replies);
}

Session::Next Session::on_rcpt(std::string_view argument, std::string& replies) {
    if (!has_mail_ || chunked_)
        return refuse(Stage::rcpt, Fault::bad_command, "503 5.5.1 MAIL first\r\n", replies);
    if (!starts_with_word(argument, "TO:"))
        return refuse(Stage::rcpt, Fault::bad_command, "501 5.5.4 write RCPT TO:<address>\r\n",
                      replies);
    auto path = parse_path(argument.substr(3), utf8_ ? NonAscii::allowed : NonAscii::refused);
    if (!path || path->address.empty())
        return refuse(Stage::rcpt, Fault::bad_address, "501 5.1.3 malformed recipient\r\n",
                      replies);
    if (!path->parameters.empty())
        return refuse(Stage::rcpt, Fault::bad_command, "555 5.5.4 unknown parameter\r\n", replies);
    if (envelope_.recipients.size() >= shared_.policy.recipients_max)
        return say(Stage::rcpt, "452 4.5.3 too many recipients\r\n", replies);
    if (const Reply* reply = shared_.script.choose(Stage::rcpt, path->address))
        return scripted(Stage::rcpt, *reply, replies);
    envelope_.recipients.emplace_back(path->address);
    return say(Stage::rcpt, "250 2.1.5 ok\r\n", replies);
}

Session::Next Session::on_data(bool more_input, std::string& replies) {
    if (more_input) shared_.tally.count(Fault::early_input);
    if (!has_mail_ || chunked_)
        return refuse(Stage::data, Fault::bad_command, "503 5.5.1 no transaction for DATA\r\n",
                      replies);
    if (envelope_.recipients.empty())
        return say(Stage::data, "554 5.5.1 no valid recipients\r\n", replies);
    if (const Reply* reply = shared_.script.choose(Stage::data, envelope_.recipients.front())) {
        reset();
        return scripted(Stage::data, *reply, replies);
    }
    state_ = State::data;
    body_.start();
    return say(Stage::data, "354 end with CR LF . CR LF\r\n", replies);
}

Session::Next Session::on_bdat(std::string_view argument, std::string& replies) {
    auto count = next_word(argument);
    if (!parse_count(count, chunk_left_) || !(argument.empty() || same_word(argument, "LAST"))) {
        // How many octets follow is unknown: whatever comes next would be taken for commands.
        refuse(Stage::final, Fault::bad_command, "501 5.5.4 write BDAT count [LAST]\r\n", replies);
        return Next::close;
    }
    chunk_last_ = !argument.empty();
    chunk_discard_ = !has_mail_ || envelope_.recipients.empty();
    if (!chunk_discard_ && !chunked_) {
        chunked_ = true;
        body_.start();
    }
    state_ = State::chunk;
    return chunk_left_ == 0 ? on_chunk_end(replies) : Next::read;
}

Session::Next Session::on_chunk_end(std::string& replies) {
    state_ = State::command;
    if (chunk_discard_) {
        // Behind a refused pipelined envelope BDAT is no fault: the client could not know yet (RFC
        // 3030 section 2).
        if (!has_mail_) return say(Stage::final, "503 5.5.1 no transaction for BDAT\r\n", replies);
        reset();
        return say(Stage::final, "554 5.5.1 no valid recipients\r\n", replies);
    }
    if (chunk_last_) return on_message(replies);
    if (body_.size() > shared_.policy.message_bytes_max) return on_message(replies);
    return say(Stage::final, fmt::format("250 2.0.0 {} octets\r\n", body_.size()), replies);
}

Session::Next Session::on_message(std::string& replies) {
    state_ = State::command;
    ++messages_;
    Tally& tally = shared_.tally;
    Faults faults = body_.faults();
    if (faults.eight_bit && !eight_bit_) tally.count(Fault::eight_bit);
    if (faults.long_line) tally.count(Fault::long_line);
    if (declared_size_ > 0 && body_.size() > declared_size_) tally.count(Fault::size_exceeded);

    std::string& out = shared_.policy.final_delay ? held_ : replies;
    Next next = Next::read;
    if (body_.size() > shared_.policy.message_bytes_max) {
        next = say(Stage::final, "552 5.3.4 message too large\r\n", out);
    } else if (faults.bare_newline) {
        next = refuse(Stage::final, Fault::bare_newline,
                      "550 5.6.11 CR or LF alone in the message\r\n", out);
    } else if (const Reply* reply =
                   shared_.script.choose(Stage::final, envelope_.recipients.front())) {
        next = scripted(Stage::final, *reply, out);
    } else if (shared_.journal && !shared_.journal->record(envelope_, body_)) {
        next = say(Stage::final, "452 4.3.1 cannot keep it: the journal's disk refused\r\n", out);
    } else {
        ++tally.messages_accepted;
        tally.message_bytes += body_.size();
        tally.recipients_accepted += envelope_.recipients.size();
        next = say(Stage::final, "250 2.0.0 taken\r\n", out);
    }
    reset();
    if (!shared_.policy.final_delay) return next;
    state_ = State::held;
    held_next_ = next;
    return Next::hold;
}

Session::Next Session::say(Stage stage, std::string_view line, std::string& replies) {
    ++shared_.tally.reply(stage, code_of(line));
    replies += line;
    return Next::read;
}

Session::Next Session::refuse(Stage stage, Fault fault, std::string_view line,
                              std::string& replies) {
    shared_.tally.count(fault);
    say(stage, line, replies);
    if (++errors_ < errors_max) return Next::read;
    say(Stage::other, "421 4.7.0 too many errors\r\n", replies);
    return Next::close;
}

Session::Next Session::scripted(Stage stage, const Reply& reply, std::string& replies) {
    if (reply.drop()) {
        ++shared_.tally.drops[size_t(stage)];
        return Next::cut;
    }
    say(stage, reply.line, replies);
    return reply.code == 421 ? Next::close : Next::read;
}

void Session::reset() {
    has_mail_ = utf8_ = eight_bit_ = chunked_ = false;
    declared_size_ = 0;
    envelope_.sender.clear();
    envelope_.recipients.clear();
}

}  // namespace sink

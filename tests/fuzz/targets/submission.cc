// The submission parser: command lines, the content behind 354, and the job that it becomes.
#include <algorithm>
#include <functional>

#include "ingest/smtp_chunks.h"
#include "ingest/smtp_command.h"
#include "ingest/smtp_data.h"
#include "ingest/smtp_envelope.h"
#include "ingest/smtp_message.h"
#include "metrics/check.h"
#include "tests/fuzz/targets/targets.h"
#include "tests/fuzz/targets/wire.h"

namespace fuzz {
namespace {

using namespace ingest;

constexpr uint64_t message_octets_max = 64 << 10;

bool is_clean(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

void command(std::string_view line) {
    auto parsed = parse_smtp_command(line);
    if (!parsed) {
        CHECK(!parsed.error().positive(), "a refusal that is none");
        CHECK(parsed.error().wire().ends_with("\r\n"), "a reply without an end");
        return;
    }
    if (auto from = parse_mail_from(parsed->argument, {.auth = true, .require_tls = true})) {
        CHECK(is_clean(from->sender) && is_clean(from->envid), "a sender that would end a line");
        CHECK(from->sender.empty() || engine::parse_address(from->sender), "a sender that is none");
    }
    if (auto to = parse_rcpt_to(parsed->argument, Utf8Addresses::allowed)) {
        CHECK(is_clean(to->address) && is_clean(to->orcpt), "a recipient that would end a line");
        CHECK(engine::parse_address(to->address).has_value(), "a recipient that is none");
    }
    if (auto chunk = parse_bdat(parsed->argument))
        CHECK(parse_octets(parsed->argument.substr(0, parsed->argument.find(' '))) == chunk->octets,
              "a chunk of another size");
    if (is_helo_name(parsed->argument)) CHECK(is_clean(parsed->argument), "a name in EHLO");
}

struct Taken {
    size_t octets = 0;
    SmtpData::Progress progress{};
    std::string message;
    bool operator==(const Taken&) const = default;
};

Taken take(std::string_view input, const std::function<size_t(size_t)>& cut) {
    SmtpData data(message_octets_max);
    Taken taken;
    while (taken.octets < input.size() && data.progress() == SmtpData::Progress::more) {
        auto piece = input.substr(taken.octets, cut(taken.octets));
        size_t count = data.take(piece);
        CHECK(count <= piece.size(), "more octets taken than were there");
        CHECK(count == piece.size() || data.progress() != SmtpData::Progress::more,
              "octets left although there is more");
        taken.octets += count;
    }
    taken.progress = data.progress();
    // Of a content that was refused or is not whole nothing counts but that.
    if (taken.progress != SmtpData::Progress::complete) return {.progress = taken.progress};
    if (!data.too_large()) taken.message = data.take_message();
    return taken;
}

/// RFC 5321 4.5.2, read as slowly and plainly as it stands there.
Taken take_plainly(std::string_view input) {
    Taken taken{.octets = input.size(), .progress = SmtpData::Progress::more};
    for (size_t at = 0; at < input.size();) {
        size_t end = input.find_first_of("\r\n", at);
        if (end == std::string_view::npos || (input[end] == '\r' && end + 1 == input.size()))
            return taken;
        if (input[end] == '\n' || input[end + 1] != '\n') {
            taken.progress =
                input[end] == '\n' ? SmtpData::Progress::bare_lf : SmtpData::Progress::bare_cr;
            return taken;
        }
        std::string_view line = input.substr(at, end - at);
        at = end + 2;
        if (line == ".") {
            taken.progress = SmtpData::Progress::complete;
            taken.octets = at;
            return taken;
        }
        if (line.starts_with('.')) line.remove_prefix(1);
        taken.message.append(line).append("\r\n");
    }
    return taken;
}

void message(std::string_view input) {
    Taken whole = take(input, [&](size_t) { return input.size(); });
    CHECK(whole == take(input, [](size_t) { return size_t(1); }),
          "single octets give another mail");
    CHECK(whole == take(input, [](size_t at) { return at * 5 % 11 + 1; }), "pieces do");
    Taken plain = take_plainly(input);
    CHECK(whole.progress == plain.progress, "an end where there is none, or the reverse");
    if (whole.progress != SmtpData::Progress::complete) return;
    CHECK(whole.octets == plain.octets, "the content ends at another octet");
    if (plain.message.size() > message_octets_max) return;
    CHECK(whole.message == plain.message, "another message");

    auto recipient = parse_rcpt_to("TO:<a@x.test>", Utf8Addresses::refused);
    CHECK(recipient.has_value(), "a recipient");
    auto job = make_smtp_job(
        {.mail = {.sender = "s@x.test"},
         .recipients = {*recipient},
         .message = whole.message,
         .trace = {.helo = "client.test", .peer = "[192.0.2.7]", .protocol = "ESMTP"}},
        origin());
    if (job) check_rendering(*job->part.job->content, whole.message);
}

/// Behind BDAT: octets are counted and not looked for an end, but bare line ends are known.
void chunks(std::string_view input) {
    SmtpChunks whole(message_octets_max), single(message_octets_max);
    whole.take(input);
    for (size_t i = 0; i < input.size(); ++i) single.take(input.substr(i, 1));
    bool bare = false;
    for (size_t i = 0; i < input.size(); ++i) {
        if (input[i] == '\r') bare |= i + 1 == input.size() || input[i + 1] != '\n';
        if (input[i] == '\n') bare |= i == 0 || input[i - 1] != '\r';
    }
    CHECK(whole.has_bare_line_end() == bare && single.has_bare_line_end() == bare,
          "a bare line end that nobody saw, or one that is none");
    CHECK(whole.bytes() == input.size() && single.bytes() == input.size(), "octets");
    if (bare || whole.too_large()) return;
    CHECK(whole.take_message() == input && single.take_message() == input, "another message");
}

}  // namespace

void submission(std::string_view input) {
    for (size_t at = 0; at < input.size();) {
        size_t end = std::min(input.find('\n', at), input.size());
        command(input.substr(at, end - at));
        at = end + 1;
    }
    message(input);
    chunks(input);
}

}  // namespace fuzz

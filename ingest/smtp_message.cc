#include "ingest/smtp_message.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "ingest/digest.h"
#include "ingest/units.h"
#include "storage/ids.h"

namespace ingest {

namespace {

constexpr size_t received_fields_max = 100;  // RFC 5321 6.3: more of them is a loop
constexpr size_t reply_lines_max = 10;
constexpr size_t reply_line_octets_max = 400;  // RFC 5321 4.5.3.1.5: 512 with code and CRLF
constexpr size_t tenant_octets_max = 64;
constexpr size_t campaign_octets_max = 128;
constexpr size_t idempotency_key_octets_max = 128;
constexpr std::chrono::hours send_at_ahead_max{24 * 366};
constexpr std::string_view option_prefix = "X-Sluice-";

struct Options {
    storage::Job job;  // tenant, campaign, class and pool of it
    std::optional<storage::WallTime> send_at;
    std::string idempotency_key;
    std::vector<std::string_view> seen;
    const KnownPool* known_pool = nullptr;
};

using Complaint = std::optional<std::string>;

Complaint set_label(std::string& label, std::string_view value, size_t octets_max) {
    const auto printable = [](char c) { return c > ' ' && c < 0x7f; };
    if (value.empty() || value.size() > octets_max || !std::ranges::all_of(value, printable)) {
        return fmt::format("wants 1 to {} ASCII characters without blanks", octets_max);
    }
    label = value;
    return std::nullopt;
}

Complaint set_tenant(Options& o, std::string_view value, storage::WallTime) {
    return set_label(o.job.tenant, value, tenant_octets_max);
}
Complaint set_campaign(Options& o, std::string_view value, storage::WallTime) {
    return set_label(o.job.campaign, value, campaign_octets_max);
}
Complaint set_class(Options& o, std::string_view value, storage::WallTime) {
    if (value != "transactional" && value != "bulk") return "wants transactional or bulk";
    o.job.klass = value == "bulk" ? storage::Class::bulk : storage::Class::transactional;
    return std::nullopt;
}
Complaint set_pool(Options& o, std::string_view value, storage::WallTime) {
    if (!(*o.known_pool)(value)) return std::string(no_such_pool);
    o.job.pool = value;
    return std::nullopt;
}
Complaint set_send_at(Options& o, std::string_view value, storage::WallTime now) {
    const auto time = parse_time(value);
    if (!time) return time.error();
    if (*time > now + send_at_ahead_max) return "is more than a year ahead";
    o.send_at = *time;
    return std::nullopt;
}
Complaint set_idempotency_key(Options& o, std::string_view value, storage::WallTime) {
    return set_label(o.idempotency_key, value, idempotency_key_octets_max);
}

struct Option {
    std::string_view name;
    Complaint (*set)(Options&, std::string_view value, storage::WallTime now);
};
constexpr Option known_options[] = {
    {"Tenant", set_tenant}, {"Campaign", set_campaign}, {"Class", set_class},
    {"Pool", set_pool},     {"Send-At", set_send_at},   {"Idempotency-Key", set_idempotency_key},
};

/// A mistyped option is refused: a campaign must not go out at once because of "X-Sluice-Sendat".
Complaint set_option(Options& options, std::string_view name, std::string_view value,
                     storage::WallTime now) {
    for (const Option& option : known_options) {
        if (!same_word(name, option.name)) continue;
        if (std::ranges::find(options.seen, option.name) != options.seen.end()) {
            return "is given twice";
        }
        options.seen.push_back(option.name);
        return option.set(options, value, now);
    }
    return "is not known; known are Tenant, Campaign, Class, Pool, Send-At and Idempotency-Key";
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    const size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

/// A field from `at` with its folded lines and its last CRLF; empty at the end of the header.
std::string_view field_at(std::string_view message, size_t at) {
    size_t end = at;
    do {
        const size_t crlf = message.find("\r\n", end);
        if (crlf == end) return {};
        end = crlf == std::string_view::npos ? message.size() : crlf + 2;
    } while (end < message.size() && (message[end] == ' ' || message[end] == '\t'));
    return message.substr(at, end - at);
}

/// What the header says to us, and the message without it.
struct Reading {
    Options options;
    std::string message;
    size_t received_fields = 0;
    bool tls_optional = false;  // "TLS-Required: No"
    std::vector<std::string> complaints;
};

Reading read_header(std::string_view message, std::string_view trace, storage::WallTime now,
                    const KnownPool& known_pool) {
    Reading reading;
    reading.options.known_pool = &known_pool;
    reading.message.reserve(trace.size() + message.size());
    reading.message += trace;
    size_t at = 0;
    for (std::string_view field = field_at(message, at); !field.empty();
         field = field_at(message, at)) {
        at += field.size();
        const size_t colon = field.find(':');
        const std::string_view name =
            colon == std::string_view::npos ? "" : trimmed(field.substr(0, colon));
        if (same_word(name, "Received")) ++reading.received_fields;
        // Any other value means nothing (RFC 8689 5).
        if (same_word(name, "TLS-Required"))
            reading.tls_optional = same_word(trimmed(field.substr(colon + 1)), "No");
        // Bcc itself goes when the content is compiled (RFC 5322 3.6.3, 3.6.6).
        if (same_word(name, "Resent-Bcc")) continue;
        if (!same_word(name.substr(0, option_prefix.size()), option_prefix)) {
            reading.message += field;
            continue;
        }
        const std::string_view option = name.substr(option_prefix.size());
        const std::string_view value = trimmed(field.substr(colon + 1));
        if (const auto wrong = set_option(reading.options, option, value, now)) {
            reading.complaints.push_back(fmt::format("{}: {}", name, *wrong));
        }
    }
    reading.message += message.substr(at);
    return reading;
}

/// Who logged in is known by the job's tenant; where from is nobody's business on the way (RFC 6409
/// says nothing, RFC 5321 7.6 warns). Of relays of this network it is what finds a loop.
std::string trace_field(const SmtpTrace& trace, const engine::Origin& origin) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(origin.time);
    const std::time_t time = std::chrono::system_clock::to_time_t(seconds);
    const std::string from =
        trace.helo.empty()
            ? ""
            : fmt::format("from {} ({})\r\n\t", trace.helo,
                          trace.peer.empty() ? std::string_view("local") : trace.peer);
    return fmt::format("Received: {}by {} with {} id {};\r\n\t{:%a, %d %b %Y %T} +0000\r\n", from,
                       origin.host, trace.protocol, storage::to_text(origin.job),
                       fmt::gmtime(time));
}

/// Lines of a reply: bounded, and of printable ASCII only, because parts of them come from outside.
SmtpReply refusal_of(const std::vector<std::string>& complaints) {
    SmtpReply reply{554, "5.6.0", {}};
    for (size_t i = 0; i < complaints.size() && i < reply_lines_max; ++i) {
        if (i > 0) reply.text += '\n';
        for (const char c : complaints[i].substr(0, reply_line_octets_max)) {
            reply.text += c >= ' ' && c < 0x7f ? c : '?';
        }
    }
    if (complaints.size() > reply_lines_max) {
        reply.text += fmt::format("\nand {} more", complaints.size() - reply_lines_max);
    }
    return reply;
}

/// Tells whether a repeat is the same submission: envelope and message as they came.
std::string digest_of(const SmtpSubmission& submission) {
    std::string recipients;
    for (const engine::Recipient& recipient : submission.recipients) {
        recipients += recipient.address;
        recipients += '\0';  // no address holds it
    }
    return sha256({"smtp", submission.mail.sender, recipients, submission.message});
}

std::string in_words(const engine::Problem& problem) {
    std::string text = problem.field.empty()
                           ? problem.message
                           : fmt::format("{}: {}", problem.field, problem.message);
    if (!problem.hint.empty()) text.append(" (").append(problem.hint).append(")");
    return text;
}

}  // namespace

std::expected<SmtpJob, SmtpReply> make_smtp_job(SmtpSubmission submission,
                                                const engine::Origin& origin) {
    Reading reading = read_header(submission.message, trace_field(submission.trace, origin),
                                  origin.time, submission.known_pool);
    SmtpJob made;
    made.idempotency_key = std::move(reading.options.idempotency_key);
    if (!made.idempotency_key.empty()) made.digest = digest_of(submission);
    std::string().swap(submission.message);
    if (reading.received_fields >= received_fields_max) {
        return std::unexpected(
            SmtpReply{554, "5.4.6",
                      fmt::format("the mail goes round in a loop: it has {} Received fields",
                                  reading.received_fields)});
    }
    storage::Job job = std::move(reading.options.job);
    if (!submission.tenant.empty() && !job.tenant.empty() && job.tenant != submission.tenant) {
        reading.complaints.push_back("X-Sluice-Tenant: this login is another tenant's");
    }
    auto content = engine::Content::from_raw(reading.message, engine::Templating::off, origin);
    if (!content) {
        for (const engine::Problem& p : content.error()) reading.complaints.push_back(in_words(p));
    }
    if (!reading.complaints.empty()) return std::unexpected(refusal_of(reading.complaints));

    job.id = origin.job;
    job.sender = std::move(submission.mail.sender);
    job.created = origin.time;
    if (job.pool.empty()) job.pool = "default";
    if (!submission.tenant.empty()) job.tenant = std::move(submission.tenant);
    if (job.tenant.empty()) job.tenant = "default";
    job.envid = std::move(submission.mail.envid);
    job.ret = submission.mail.ret;
    job.reports = true;  // what SMTP promises (RFC 5321 6.1); over the API it is an option
    if (submission.mail.require_tls) {
        job.tls = storage::TlsRequest::required;  // goes before the field (RFC 8689 4.1)
    } else if (reading.tls_optional) {
        job.tls = storage::TlsRequest::optional;
    }
    auto open = std::make_shared<engine::OpenJob>();
    open->job = std::move(job);
    open->content = std::make_shared<const engine::Content>(std::move(*content));
    open->send_at = reading.options.send_at;
    const std::string vars = open->content->encode_vars({});
    for (engine::Recipient& recipient : submission.recipients) recipient.vars = vars;
    made.part = {std::move(open), std::move(submission.recipients), true};
    return made;
}

}  // namespace ingest

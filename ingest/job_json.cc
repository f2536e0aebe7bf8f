#include "ingest/job_json.h"

#include <fmt/format.h>

#include <array>

#include "ingest/content_json.h"
#include "ingest/units.h"

namespace ingest {

namespace ondemand = simdjson::ondemand;
using engine::Content;

namespace {

constexpr std::array<std::string_view, 12> job_names{
    "from",       "tenant",          "campaign", "class",   "pool",       "send_at",
    "expires_in", "idempotency_key", "tls",      "content", "recipients", "dsn"};
enum JobName : uint8_t {
    from,
    tenant,
    campaign,
    klass,
    pool,
    send_at,
    expires_in,
    idempotency_key,
    tls,
    content,
    recipients,
    dsn
};

constexpr std::array<std::string_view, 4> recipient_names{"to", "name", "vars", "meta"};
enum RecipientName : uint8_t { to, name, vars, meta };

/// A recipient as views of the document; its variables are a stretch of the reader's list.
struct RawRecipient {
    std::string_view to, name, meta;
    size_t vars_begin = 0, vars_end = 0;
    size_t index = 0;  // in the request
    bool good = true;  // false: what is wrong is reported already
};

/// Without blanks between the parts when a line break is among them: an event is one line.
std::string one_line(std::string_view json) {
    if (json.find_first_of("\r\n") == std::string_view::npos) return std::string(json);
    std::string out(json.size() + JobReader::padding, '\0');
    size_t bytes = 0;
    if (simdjson::minify(json.data(), json.size(), out.data(), bytes)) return "{}";
    out.resize(bytes);
    return out;
}

std::string shown(std::string_view text) {
    return std::string(text.substr(0, 320));
}

}  // namespace

struct JobReader::State {
    explicit State(KnownPool known) : known_pool(std::move(known)) {}

    const KnownPool known_pool;
    ondemand::parser parser;
    JsonWalk walk;
    Content::Vars all_vars;  // of all recipients of the document
    Content::Vars one_vars;  // of the recipient in hand

    RawRecipient read_recipient(ondemand::object object, const FieldPath& at);
    void read_vars(ondemand::value value, const FieldPath& at);
    void read_recipients(ondemand::value value, const FieldPath& at,
                         std::vector<RawRecipient>& out);
    void read_member(JobName member, ondemand::value value, const FieldPath& at,
                     const engine::Origin& origin, ParsedJob& out, std::vector<RawRecipient>& raw);
    std::expected<engine::Recipient, std::string> finish(const RawRecipient& raw,
                                                         const Content& content,
                                                         const FieldPath& at);
    void finish_all(const std::vector<RawRecipient>& raw, const FieldPath& at, ParsedJob& out);
    bool document_ends(ondemand::document& document);
};

/// False, and broken, when something stands behind the document.
bool JobReader::State::document_ends(ondemand::document& document) {
    if (!walk.broken() && document.current_location().error() != simdjson::OUT_OF_BOUNDS)
        walk.break_off();
    return !walk.broken();
}

void JobReader::State::read_vars(ondemand::value value, const FieldPath& at) {
    const auto object = walk.object(value, at);
    if (!object) return;
    const size_t begin = all_vars.size();
    size_t bytes = 0;
    walk.every_member(*object, [&](std::string_view key, ondemand::value member) {
        const FieldPath here = at.in(key);
        if (key.empty() || key.size() > JobLimits::var_name_octets_max) {
            return walk.error(here, "vars.name",
                              fmt::format("a variable's name has 1 to {} octets",
                                          JobLimits::var_name_octets_max));
        }
        if (all_vars.size() - begin >= JobLimits::vars_max) {
            return walk.error(here, "vars.max",
                              fmt::format("more than {} variables", JobLimits::vars_max));
        }
        for (size_t i = begin; i < all_vars.size(); ++i) {
            if (all_vars[i].first == key) return walk.duplicate(here);
        }
        const auto text = walk.scalar(member, here);
        if (!text) return;
        bytes += key.size() + text->size();
        if (!text->empty()) all_vars.emplace_back(key, *text);
    });
    if (bytes > JobLimits::vars_bytes_max) {
        walk.error(at, "vars.too_large",
                   fmt::format("over {} bytes in all", JobLimits::vars_bytes_max),
                   "what is the same for everybody belongs into the content");
    }
}

RawRecipient JobReader::State::read_recipient(ondemand::object object, const FieldPath& at) {
    RawRecipient out;
    out.vars_begin = all_vars.size();
    const size_t errors_before = walk.errors().size();
    bool has_to = false;
    walk.members(object, at, recipient_names, [&](size_t i, ondemand::value value) {
        const FieldPath here = at.in(recipient_names[i]);
        switch (static_cast<RecipientName>(i)) {
            case to:
                has_to = true;
                out.to = walk.text(value, here).value_or("");
                return;
            case name:
                out.name = walk.text(value, here).value_or("");
                return;
            case vars:
                return read_vars(value, here);
            case meta:
                out.meta = walk.verbatim(value, here).value_or("");
                break;
        }
        if (out.meta.size() > JobLimits::meta_bytes_max) {
            walk.error(here, "meta.too_large",
                       fmt::format("over {} bytes", JobLimits::meta_bytes_max),
                       "it comes back in every event: keep an id here and the rest with you");
        }
    });
    out.vars_end = all_vars.size();
    if (walk.broken()) return out;
    if (!has_to) walk.error(at.in("to"), "field.required", "is missing");
    if (out.name.size() > JobLimits::vars_bytes_max)
        walk.error(at.in("name"), "vars.too_large", "is too long");
    out.good = walk.errors().size() == errors_before;
    return out;
}

/// The recipient, or why its address is none. What is wrong with its variables is reported in
/// `walk`.
std::expected<engine::Recipient, std::string> JobReader::State::finish(const RawRecipient& raw,
                                                                       const Content& compiled,
                                                                       const FieldPath& at) {
    auto address = engine::parse_address(raw.to);
    if (!address) return std::unexpected(std::move(address.error()));
    one_vars.assign(all_vars.begin() + static_cast<ptrdiff_t>(raw.vars_begin),
                    all_vars.begin() + static_cast<ptrdiff_t>(raw.vars_end));
    const bool named =
        std::ranges::any_of(one_vars, [](const auto& var) { return var.first == "name"; });
    if (!named && !raw.name.empty()) one_vars.emplace_back("name", raw.name);
    if (!one_vars.empty() && !compiled.same_for_all()) {
        auto problems = compiled.check_vars(one_vars, {});
        for (engine::Problem& problem : problems) {
            const FieldPath base = at.in("vars");
            const bool from_name = !named && problem.field == "name";
            const FieldPath here = from_name ? at.in("name") : base.in(problem.field);
            walk.error(here, problem.code, std::move(problem.message), std::move(problem.hint));
        }
    }
    return engine::Recipient{std::string(raw.to), std::move(address->routing_domain),
                             compiled.encode_vars(one_vars), one_line(raw.meta)};
}

void JobReader::State::read_recipients(ondemand::value value, const FieldPath& at,
                                       std::vector<RawRecipient>& out) {
    auto array = walk.array(value, at);
    if (!array) return;
    size_t index = 0;
    for (auto item : *array) {
        ondemand::value element;
        if (std::move(item).get(element)) return walk.break_off();
        if (index >= JobLimits::recipients_max) {
            return walk.error(
                at, "recipients.max",
                fmt::format("more than {} recipients", JobLimits::recipients_max),
                "send them as application/x-ndjson: a line for the job, then a line for each");
        }
        const FieldPath here = at.at(index);
        const auto object = walk.object(element, here);
        if (object) {
            out.push_back(read_recipient(*object, here));
            out.back().index = index;
        }
        if (walk.broken()) return;
        ++index;
    }
}

namespace {

void read_sender(JsonWalk& walk, std::string_view text, const FieldPath& at, ParsedJob& out) {
    out.open->job.sender = text;
    if (text.empty()) return;  // the null reverse-path
    if (const auto address = engine::parse_address(text); !address) {
        walk.error(at, "field.address", address.error(),
                   "the envelope sender: an address, or \"\" for none");
    }
}

void read_send_at(JsonWalk& walk, std::string_view text, const FieldPath& at, storage::WallTime now,
                  ParsedJob& out) {
    const auto time = parse_time(text);
    if (!time) return walk.error(at, "field.time", time.error());
    if (*time > now + JobLimits::send_at_ahead_max) {
        return walk.error(at, "field.range", "is more than a year ahead");
    }
    out.open->send_at = *time;
}

void read_expires_in(JsonWalk& walk, std::string_view text, const FieldPath& at, ParsedJob& out) {
    const auto duration = parse_duration(text);
    if (!duration) return walk.error(at, "field.duration", duration.error());
    if (*duration < JobLimits::expires_in_min || *duration > JobLimits::expires_in_max) {
        return walk.error(at, "field.range", "must be from 1s to 30d");
    }
    out.open->expires_in = *duration;
}

void read_label(JsonWalk& walk, std::string_view text, const FieldPath& at, size_t octets_max,
                std::string& out) {
    if (const auto wrong = wrong_label(text, octets_max))
        return walk.error(at, "field.label", *wrong);
    out = text;
}

/// The members that are plain texts; as parameters of a raw message they mean the same.
void set_option(JsonWalk& walk, JobName member, std::string_view text, const FieldPath& at,
                storage::WallTime now, const KnownPool& known_pool, ParsedJob& out) {
    storage::Job& job = out.open->job;
    switch (member) {
        case from:
            return read_sender(walk, text, at, out);
        case tenant:
            return read_label(walk, text, at, JobLimits::tenant_octets_max, job.tenant);
        case campaign:
            return read_label(walk, text, at, JobLimits::campaign_octets_max, job.campaign);
        case idempotency_key:
            return read_label(walk, text, at, JobLimits::idempotency_key_octets_max,
                              out.idempotency_key);
        case send_at:
            return read_send_at(walk, text, at, now, out);
        case expires_in:
            return read_expires_in(walk, text, at, out);
        case klass:
            if (text == "transactional") {
                job.klass = storage::Class::transactional;
            } else if (text != "bulk") {
                walk.error(at, "field.value", "must be \"transactional\" or \"bulk\"");
            }
            return;
        case tls:
            if (text == "required") {
                job.tls = storage::TlsRequest::required;
            } else if (text == "optional") {
                job.tls = storage::TlsRequest::optional;
            } else {
                walk.error(at, "field.value", "must be \"required\" or \"optional\"",
                           "leave it out for what the settings and the recipient's domain demand");
            }
            return;
        case pool:
            if (!known_pool(text)) {
                return walk.error(at, "pool.unknown", std::string(no_such_pool),
                                  "a [[pool]] of the configuration, or \"default\"");
            }
            job.pool = text;
            return;
        case dsn:
            if (text != "true" && text != "false")
                walk.error(at, "field.value", "must be \"true\" or \"false\"");
            job.reports = text == "true";
            return;
        case content:
        case recipients:
            return;
    }
}

ParsedJob empty_job(const engine::Origin& origin) {
    ParsedJob out;
    out.open = std::make_shared<engine::OpenJob>();
    out.open->job = {
        .id = origin.job, .tenant = "default", .pool = "default", .created = origin.time};
    return out;
}

}  // namespace

void JobReader::State::read_member(JobName member, ondemand::value value, const FieldPath& at,
                                   const engine::Origin& origin, ParsedJob& out,
                                   std::vector<RawRecipient>& raw) {
    if (member == recipients) {
        out.has_recipients = true;
        return read_recipients(value, at, raw);
    }
    if (member == content) {
        out.open->content = read_content(walk, value, at, origin);
        return;
    }
    if (member == dsn) {
        out.open->job.reports = walk.flag(value, at).value_or(false);
        return;
    }
    const auto text = walk.text(value, at);
    if (text) set_option(walk, member, *text, at, origin.time, known_pool, out);
}

void JobReader::State::finish_all(const std::vector<RawRecipient>& raw, const FieldPath& at,
                                  ParsedJob& out) {
    out.recipients.reserve(raw.size());
    for (const RawRecipient& one : raw) {
        if (!one.good) continue;
        auto recipient = finish(one, *out.open->content, at.at(one.index));
        if (recipient) {
            out.recipients.push_back(std::move(*recipient));
        } else {
            out.rejected.push_back({static_cast<uint32_t>(one.index), shown(one.to),
                                    "recipient.invalid", std::move(recipient.error())});
        }
    }
}

JobReader::JobReader(KnownPool known_pool)
    : state_(std::make_unique<State>(std::move(known_pool))) {}
JobReader::JobReader(JobReader&&) noexcept = default;
const KnownPool& JobReader::known_pool() const {
    return state_->known_pool;
}

JobReader::~JobReader() = default;

std::expected<ParsedJob, BadRequest> JobReader::read_job(std::string_view text,
                                                         const engine::Origin& origin,
                                                         RecipientList list) {
    JsonWalk& walk = state_->walk;
    walk.reset();
    state_->all_vars.clear();
    const auto syntax = [&](simdjson::error_code error) {
        return std::unexpected(
            BadRequest{400, {syntax_error(text, simdjson::error_message(error))}});
    };

    ondemand::document document;
    ondemand::json_type type{};
    auto error = state_->parser.iterate(simdjson::padded_string_view(text, text.size() + padding))
                     .get(document);
    if (!error) error = document.type().get(type);
    if (error) return syntax(error);
    const FieldPath root;
    ondemand::object object;
    if (type != ondemand::json_type::object) {
        if (auto found = syntax_error(text, ""); !found.message.empty()) {
            return std::unexpected(BadRequest{400, {std::move(found)}});
        }
        return std::unexpected(
            BadRequest{422, {{"field.type", "the request must be a JSON object", {}, {}}}});
    }
    if (document.get_object().get(object)) return syntax(simdjson::TAPE_ERROR);

    ParsedJob out = empty_job(origin);
    std::vector<RawRecipient> raw;
    uint64_t seen = 0;
    walk.members(object, root, job_names, [&](size_t i, ondemand::value value) {
        seen |= 1u << i;
        state_->read_member(static_cast<JobName>(i), value, root.in(job_names[i]), origin, out,
                            raw);
    });
    if (!state_->document_ends(document)) return syntax(simdjson::TAPE_ERROR);

    const auto missing = [&](JobName member) {
        if (!(seen & (1u << member)))
            walk.error(root.in(job_names[member]), "field.required", "is missing");
    };
    missing(from);
    missing(content);
    if (list == RecipientList::required) missing(recipients);
    if (out.open->content) state_->finish_all(raw, root.in("recipients"), out);
    if (walk.errors().empty()) return out;
    return std::unexpected(BadRequest{422, walk.take_errors()});
}

std::expected<ParsedJob, BadRequest> JobReader::read_message(std::string_view message,
                                                             const Parameters& parameters,
                                                             const engine::Origin& origin) {
    JsonWalk& walk = state_->walk;
    walk.reset();
    state_->all_vars.clear();
    ParsedJob out = empty_job(origin);
    out.has_recipients = true;
    auto compiled = Content::from_raw(message, engine::Templating::off, origin);
    if (compiled) {
        out.open->content = std::make_shared<const Content>(std::move(*compiled));
    } else {
        report(walk, compiled.error());
    }
    uint64_t seen = 0;
    std::vector<RawRecipient> raw;
    for (const auto& [key, value] : parameters) {
        const FieldPath here{nullptr, key};
        if (key == "to") {
            raw.push_back({.to = value, .index = raw.size()});
            continue;
        }
        const auto member =
            static_cast<size_t>(std::ranges::find(job_names, key) - job_names.begin());
        if (member == job_names.size()) continue;  // the caller knows it
        if (seen & (1u << member)) walk.duplicate(here);
        seen |= 1u << member;
        set_option(walk, static_cast<JobName>(member), value, here, origin.time, state_->known_pool,
                   out);
    }
    if (!(seen & (1u << from)))
        walk.error(FieldPath{nullptr, "from"}, "field.required", "is missing", "?from=…&to=…");
    if (raw.empty())
        walk.error(FieldPath{nullptr, "to"}, "field.required", "is missing", "?from=…&to=…&to=…");
    if (out.open->content) state_->finish_all(raw, FieldPath{nullptr, "to"}, out);
    if (walk.errors().empty()) return out;
    return std::unexpected(BadRequest{422, walk.take_errors()});
}

std::expected<engine::Recipient, BadRecipient> JobReader::read_recipient(std::string_view text,
                                                                         const Content& compiled) {
    JsonWalk& walk = state_->walk;
    walk.reset();
    state_->all_vars.clear();
    const auto syntax = [&](simdjson::error_code error) {
        return std::unexpected(
            BadRecipient{{}, {syntax_error(text, simdjson::error_message(error))}, true});
    };
    ondemand::document document;
    ondemand::object object;
    auto error = state_->parser.iterate(simdjson::padded_string_view(text, text.size() + padding))
                     .get(document);
    if (!error) error = document.get_object().get(object);
    if (error) return syntax(error);
    const FieldPath root;
    const RawRecipient raw = state_->read_recipient(object, root);
    if (!state_->document_ends(document)) return syntax(simdjson::TAPE_ERROR);
    if (!raw.good) return std::unexpected(BadRecipient{shown(raw.to), walk.take_errors()});
    auto recipient = state_->finish(raw, compiled, root);
    if (!recipient) {
        return std::unexpected(BadRecipient{
            shown(raw.to), {{"recipient.invalid", std::move(recipient.error()), "to", {}}}});
    }
    if (!walk.errors().empty())
        return std::unexpected(BadRecipient{shown(raw.to), walk.take_errors()});
    return std::move(*recipient);
}

bool begins_job(std::string_view line) {
    const size_t open = line.find('"');
    if (open == std::string_view::npos || line.find_first_not_of(" \t{") != open) return false;
    const std::string_view first = line.substr(open + 1, line.find('"', open + 1) - open - 1);
    return std::ranges::find(recipient_names, first) == recipient_names.end();
}

std::optional<std::string> wrong_label(std::string_view value, size_t octets_max) {
    const bool known = std::ranges::all_of(value, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("._-:/+@=").contains(c);
    });
    if (known && !value.empty() && value.size() <= octets_max) return std::nullopt;
    return fmt::format("must be 1 to {} of the characters A-Z a-z 0-9 . _ - : / + @ =", octets_max);
}

}  // namespace ingest

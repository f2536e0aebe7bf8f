#include "ingest/content_json.h"

#include <fmt/format.h>

#include <array>

#include "engine/message/encode.h"
#include "ingest/job_json.h"

namespace ingest {

namespace ondemand = simdjson::ondemand;
using engine::Content;
using engine::MailParts;

namespace {

constexpr std::array<std::string_view, 11> content_names{
    "from",    "reply_to",    "subject", "to",         "text",    "html",
    "headers", "attachments", "raw",     "raw_base64", "template"};
enum ContentName : uint8_t {
    from,
    reply_to,
    subject,
    to,
    text,
    html,
    headers,
    attachments,
    raw,
    raw_base64,
    templated
};

constexpr std::array<std::string_view, 4> attachment_names{"filename", "type", "data",
                                                           "content_id"};

struct ContentFields {
    MailParts parts;
    bool has_parts = false;
    std::optional<std::string> raw;
    std::optional<bool> templated;
};

std::optional<std::string> base64(JsonWalk& walk, ondemand::value value, const FieldPath& at) {
    const auto encoded = walk.text(value, at);
    if (!encoded) return std::nullopt;
    auto bytes = engine::decode_base64(*encoded);
    if (!bytes)
        walk.error(at, "field.base64", "is not base64",
                   "use the alphabet of RFC 4648 section 4, padded");
    return bytes;
}

void read_headers(JsonWalk& walk, ondemand::value value, const FieldPath& at, MailParts& parts) {
    const auto object = walk.object(value, at);
    if (!object) return;
    walk.every_member(*object, [&](std::string_view name, ondemand::value member) {
        const FieldPath here = at.in(name);
        if (parts.headers.size() >= JobLimits::headers_max) {
            return walk.error(here, "content.headers_max",
                              fmt::format("more than {} header fields", JobLimits::headers_max));
        }
        for (const auto& header : parts.headers) {
            if (header.first == name) return walk.duplicate(here);
        }
        const auto field_value = walk.text(member, here);
        if (field_value) parts.headers.emplace_back(name, *field_value);
    });
}

void read_attachments(JsonWalk& walk, ondemand::value value, const FieldPath& at,
                      MailParts& parts) {
    auto array = walk.array(value, at);
    if (!array) return;
    size_t index = 0;
    for (auto item : *array) {
        ondemand::value element;
        if (std::move(item).get(element)) return walk.break_off();
        const FieldPath here = at.at(index++);
        if (index > JobLimits::attachments_max) {
            walk.error(here, "content.attachments_max",
                       fmt::format("more than {} attachments", JobLimits::attachments_max));
            return;
        }
        const auto object = walk.object(element, here);
        if (walk.broken()) return;
        if (!object) continue;
        MailParts::Attachment attachment;
        bool has_data = false;
        walk.members(*object, here, attachment_names, [&](size_t name, ondemand::value member) {
            const FieldPath place = here.in(attachment_names[name]);
            if (name == 2) {
                has_data = true;
                attachment.bytes = base64(walk, member, place).value_or("");
                return;
            }
            const auto word = walk.text(member, place);
            if (!word) return;
            (name == 0   ? attachment.filename
             : name == 1 ? attachment.type
                         : attachment.content_id) = *word;
        });
        if (walk.broken()) return;
        if (!has_data) walk.error(here.in("data"), "field.required", "is missing");
        parts.attachments.push_back(std::move(attachment));
    }
}

void read_member(JsonWalk& walk, ContentName name, ondemand::value value, const FieldPath& here,
                 ContentFields& out) {
    switch (name) {
        case headers:
            return read_headers(walk, value, here, out.parts);
        case attachments:
            return read_attachments(walk, value, here, out.parts);
        case raw_base64: {
            auto bytes = base64(walk, value, here);
            if (bytes) out.raw = std::move(*bytes);
            return;
        }
        case templated:
            out.templated = walk.flag(value, here);
            return;
        default:
            break;
    }
    const auto word = walk.text(value, here);
    if (!word) return;
    switch (name) {
        case from:
            out.parts.from = *word;
            return;
        case reply_to:
            out.parts.reply_to = *word;
            return;
        case subject:
            out.parts.subject = *word;
            return;
        case to:
            out.parts.to = *word;
            return;
        case text:
            out.parts.text = *word;
            return;
        case html:
            out.parts.html = *word;
            return;
        default:
            out.raw = *word;
            return;
    }
}

}  // namespace

void report(JsonWalk& walk, const engine::Problems& problems) {
    for (const engine::Problem& problem : problems) {
        walk.error(FieldPath{nullptr, problem.field}, problem.code, problem.message, problem.hint);
    }
}

std::shared_ptr<const Content> read_content(JsonWalk& walk, ondemand::value value,
                                            const FieldPath& at, const engine::Origin& origin) {
    const auto object = walk.object(value, at);
    if (!object) return nullptr;
    const size_t errors_before = walk.errors().size();
    ContentFields fields;
    bool both_raw = false;
    walk.members(*object, at, content_names, [&](size_t i, ondemand::value member) {
        const auto name = static_cast<ContentName>(i);
        if (name < raw) fields.has_parts = true;
        if ((name == raw || name == raw_base64) && fields.raw) both_raw = true;
        read_member(walk, name, member, at.in(content_names[i]), fields);
    });
    if (walk.broken()) return nullptr;
    if (both_raw || (fields.raw && fields.has_parts)) {
        walk.error(at, "content.ambiguous", "holds a raw message and something beside it",
                   "give raw, or raw_base64, or the parts (from, subject, text, …)");
    }
    if (fields.templated && !fields.raw) {
        walk.error(at.in("template"), "content.template", "only a raw message needs this",
                   "leave it out: text, html and headers may always hold {{vars}}");
    }
    if (walk.errors().size() > errors_before) return nullptr;
    const auto templating =
        fields.templated.value_or(false) ? engine::Templating::on : engine::Templating::off;
    auto content = fields.raw ? Content::from_raw(*fields.raw, templating, origin)
                              : Content::assemble(fields.parts, origin);
    if (content) return std::make_shared<const Content>(std::move(*content));
    report(walk, content.error());
    return nullptr;
}

}  // namespace ingest

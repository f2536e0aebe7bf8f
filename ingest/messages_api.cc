#include "ingest/messages_api.h"

#include <fmt/format.h>
#include <algorithm>

#include <array>

#include "ingest/digest.h"
#include "ingest/job_stream.h"
#include "ingest/json_out.h"
#include "metrics/catalog.h"
#include "storage/ids.h"

namespace ingest {

using engine::Content;
using engine::Refusal;
using engine::Task;

namespace {

// Parsing this much takes about 100 µs: more goes to the worker, so that the shard can send
// meanwhile.
constexpr size_t parse_here_bytes_max = 64 << 10;

/// What one POST asks for beside its body.
struct Wishes {
    bool ids = false;
    bool dry_run = false;
};

std::optional<ApiError> read_flag(const HttpRequest& request, std::string_view name, bool& out) {
    const auto value = request.parameter(name);
    if (!value) return std::nullopt;
    out = *value == "true" || *value == "1" || value->empty();
    if (out || *value == "false" || *value == "0") return std::nullopt;
    return ApiError{"parameter.value", "must be true or false", "?" + std::string(name), {}};
}

/// A mistyped parameter is refused: `?dryrun=true` must not send a campaign.
std::vector<ApiError> unknown_parameters(const HttpRequest& request,
                                         std::span<const std::string_view> known) {
    std::vector<ApiError> out;
    for (const auto& [name, value] : request.query) {
        if (std::ranges::find(known, name) != known.end()) continue;
        out.push_back({"parameter.unknown", "there is no such parameter", "?" + name.substr(0, 64),
                       fmt::format("known are: {}", fmt::join(known, ", "))});
    }
    return out;
}

std::expected<Wishes, HttpAnswer> read_wishes(const HttpRequest& request, bool raw_message) {
    static constexpr std::array<std::string_view, 11> known{
        "ids",   "dry_run", "from",    "to",         "tenant", "campaign",
        "class", "pool",    "send_at", "expires_in", "dsn"};
    auto errors =
        unknown_parameters(request, std::span(known).first(raw_message ? known.size() : 2));
    Wishes wishes;
    if (auto error = read_flag(request, "ids", wishes.ids)) errors.push_back(std::move(*error));
    if (auto error = read_flag(request, "dry_run", wishes.dry_run))
        errors.push_back(std::move(*error));
    if (errors.empty()) return wishes;
    return std::unexpected(to_answer(BadRequest{422, std::move(errors)}));
}

/// The job of one whole body. `text` has JobReader::padding bytes of room behind it.
std::expected<ParsedJob, BadRequest> parse(JobReader& reader, const HttpRequest& request,
                                           std::string_view text, const engine::Origin& origin) {
    if (request.media_type() == "message/rfc822")
        return reader.read_message(text, request.query, origin);
    return reader.read_job(text, origin, RecipientList::required);
}

std::optional<HttpAnswer> settle_key(const HttpRequest& request, ParsedJob& parsed) {
    const std::string_view header = request.field("idempotency-key");
    if (header.empty()) return std::nullopt;
    if (const auto wrong = wrong_label(header, JobLimits::idempotency_key_octets_max)) {
        return to_answer(422, {"field.label", *wrong, "Idempotency-Key", {}});
    }
    if (!parsed.idempotency_key.empty() && parsed.idempotency_key != header) {
        return to_answer(422, {"idempotency.ambiguous", "the header and the field name two keys",
                               "Idempotency-Key", "give one of them"});
    }
    parsed.idempotency_key = header;
    return std::nullopt;
}

HttpAnswer dry_run_answer(const ParsedJob& parsed) {
    std::string body;
    JsonObject object(body);
    object.flag("dry_run", true).number("accepted", parsed.recipients.size());
    object.key("rejected");
    body += '[';
    for (const Rejected& rejected : parsed.rejected) {
        if (&rejected != &parsed.rejected.front()) body += ',';
        append_rejected(body, rejected);
    }
    body += ']';
    if (!parsed.recipients.empty()) {
        const engine::Recipient& first = parsed.recipients.front();
        object.text("sample",
                    parsed.open->content->render(
                        {.id = {parsed.open->job.id, 0}, .to = first.address, .vars = first.vars}));
    }
    object.close();
    return {.status = 200, .body = std::move(body) + "\n"};
}

Task<HttpAnswer> store(ParsedJob parsed, std::string text,
                       std::vector<storage::IdempotencyRecord> records, HttpContext* context) {
    const size_t recipients = parsed.recipients.size();
    const bool keyed = !records.empty();
    const std::shared_ptr<engine::OpenJob> job = parsed.open;
    std::vector<engine::JobPart> parts;
    parts.push_back({std::move(parsed.open), std::move(parsed.recipients), true});
    const auto accepted = co_await context->intake.accept(std::move(parts), std::move(records));
    if (!accepted) co_return refused_answer(accepted.error());
    count_accepted(*context, recipients);
    // With a key the answer is stored beside the job, before this is known, and repeats are the
    // same.
    if (job->suppressed > 0 && !keyed)
        text.insert(text.rfind('}'), fmt::format(",\"suppressed\":{}", job->suppressed));
    if (!parsed.rejected.empty()) count_rejected(*context, "recipient", parsed.rejected.size());
    co_return HttpAnswer{.status = 202, .body = std::move(text)};
}

Task<HttpAnswer> submit(HttpConnection* connection, const HttpRequest* request,
                        HttpContext* context) {
    const auto wishes = read_wishes(*request, request->media_type() == "message/rfc822");
    if (!wishes) co_return wishes.error();
    auto body = co_await connection->read_whole_body(JobLimits::request_bytes_max);
    if (!body) co_return to_answer(body.error());
    body->reserve(body->size() + JobReader::padding);

    const engine::Origin origin{context->intake.node_name(), context->intake.new_job_id(),
                                context->intake.now()};
    std::expected<ParsedJob, BadRequest> parsed;
    if (body->size() <= parse_here_bytes_max) {
        parsed = parse(context->reader, *request, *body, origin);
    } else {
        co_await context->worker.run([&] {
            JobReader reader(context->reader.known_pool());
            parsed = parse(reader, *request, *body, origin);
        });
    }
    if (!parsed) co_return to_answer(parsed.error());
    if (auto wrong = settle_tenant(request->tenant, *parsed)) co_return to_answer(403, *wrong);
    if (auto wrong = settle_key(*request, *parsed)) co_return *std::move(wrong);
    if (wishes->dry_run) co_return dry_run_answer(*parsed);
    if (parsed->recipients.empty()) {
        std::vector<ApiError> errors;
        for (Rejected& bad : parsed->rejected) {
            errors.push_back(
                {bad.code, bad.message, fmt::format("recipients[{}].to", bad.index), {}});
        }
        if (errors.empty())
            errors.push_back({"recipients.none", "there is nobody to send to", "recipients", {}});
        co_return to_answer(BadRequest{422, std::move(errors)});
    }
    std::string text = accepted_text(*parsed, wishes->ids);
    if (parsed->idempotency_key.empty())
        co_return co_await store(*std::move(parsed), std::move(text), {}, context);
    std::string digest;
    const std::string type = request->media_type();
    const auto hash = [&] { digest = sha256({type, request->raw_query, *body}); };
    if (body->size() <= parse_here_bytes_max) {
        hash();
    } else {
        co_await context->worker.run(hash);
    }
    co_return co_await store_once(*std::move(parsed), std::move(text), std::move(digest), context);
}

std::string_view reason_of(int status) {
    switch (status) {
        case 400:
            return "syntax";
        case 408:
            return "timeout";
        case 401:
        case 403:
            return "tenant";
        case 409:
            return "idempotency";
        case 413:
            return "too_large";
        case 415:
            return "media_type";
        case 422:
            return "invalid";
        case 429:
            return "queue_full";
        case 503:
            return "unavailable";
        default:
            return "other";
    }
}

}  // namespace

std::string_view refusal_code(Refusal::Why why) {
    switch (why) {
        case Refusal::Why::disk_low:
            return "disk.low";
        case Refusal::Why::queue_full:
            return "queue.full";
        case Refusal::Why::storage_failed:
            return "storage.failed";
        case Refusal::Why::draining:
            return "node.draining";
    }
    return "unavailable";
}

std::optional<ApiError> settle_tenant(std::string_view tenant, ParsedJob& parsed) {
    std::string& named = parsed.open->job.tenant;
    if (tenant.empty() || named == tenant) return std::nullopt;
    // What a request does not say reads "default".
    if (named != "default") {
        return ApiError{"tenant.other", "the API key is another tenant's", "tenant",
                        "leave it out, or use that tenant's key"};
    }
    named = tenant;
    return std::nullopt;
}

HttpAnswer refused_answer(const Refusal& refusal) {
    const int status = refusal.why == Refusal::Why::queue_full ? 429 : 503;
    auto answer = to_answer(
        status, {std::string(refusal_code(refusal.why)),
                 refusal.message,
                 {},
                 refusal.limit.empty() ? "send it again later" : "the limit is " + refusal.limit});
    answer.fields.emplace_back("Retry-After", std::to_string(refusal.retry_after.count()));
    return answer;
}

void append_rejected(std::string& out, const Rejected& rejected) {
    JsonObject object(out);
    object.number("index", rejected.index).text("to", rejected.to).text("code", rejected.code);
    object.text("message", rejected.message).close();
}

std::string accepted_text(const ParsedJob& parsed, bool with_ids) {
    std::string out;
    JsonObject object(out);
    object.text("job", storage::to_text(parsed.open->job.id))
        .number("accepted", parsed.recipients.size());
    object.key("rejected");
    out += '[';
    for (const Rejected& rejected : parsed.rejected) {
        if (&rejected != &parsed.rejected.front()) out += ',';
        append_rejected(out, rejected);
    }
    out += ']';
    if (with_ids) {
        object.key("ids");
        out += '[';
        for (uint32_t i = 0; i < parsed.recipients.size(); ++i) {
            if (i > 0) out += ',';
            append_json_string(out, storage::to_text(storage::DeliveryId{parsed.open->job.id, i}));
        }
        out += ']';
    }
    object.close();
    return out += '\n';
}

void count_accepted(HttpContext& context, uint64_t recipients) {
    context.metrics.counter(metrics::catalog::messages_accepted, {"http"}).add(recipients);
}

void count_rejected(HttpContext& context, std::string_view reason, uint64_t times) {
    context.metrics.counter(metrics::catalog::ingest_rejected, {"http", reason}).add(times);
}

Task<HttpAnswer> store_once(ParsedJob parsed, std::string text, std::string digest,
                            HttpContext* context) {
    storage::IdempotencyRecord record{.tenant = parsed.open->job.tenant,
                                      .key = parsed.idempotency_key,
                                      .digest = std::move(digest),
                                      .answer = text,
                                      .expires = context->intake.now() + idempotency_kept};
    KeyLease lease(context->idempotency, context->post);
    PastUse past = co_await reserve_key(
        &lease, {context->idempotency, context->post, context->worker, context->store}, record,
        context->intake.now());
    switch (past.kind) {
        case PastUse::Kind::none:
            break;
        case PastUse::Kind::same:
            co_return HttpAnswer{.status = 202,
                                 .body = std::move(past.text),
                                 .fields = {{"Idempotent-Replay", "true"}}};
        case PastUse::Kind::other_body:
            co_return to_answer(409, {"idempotency.conflict",
                                      "this key was used with another request within 24 hours",
                                      "Idempotency-Key", "a new request needs a new key"});
        case PastUse::Kind::busy: {
            auto answer =
                to_answer(429, {"idempotency.busy", "too many requests with this key at once",
                                "Idempotency-Key", "wait for the first of them"});
            answer.fields.emplace_back("Retry-After", "1");
            co_return answer;
        }
        case PastUse::Kind::failed:
            co_return to_answer(503, {"storage.failed", std::move(past.text), {}, {}});
    }
    std::vector<storage::IdempotencyRecord> records;
    records.push_back(std::move(record));
    co_return co_await store(std::move(parsed), std::move(text), std::move(records), context);
}

Task<> post_messages(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    HttpAnswer answer;
    const std::string type = request.media_type();
    const bool streams = type == "application/x-ndjson";
    if (const auto refusal = context.intake.refusal()) {
        answer = refused_answer(*refusal);
    } else if (!request.field("content-encoding").empty()) {
        answer = to_answer(415, {"request.encoding", "compressed bodies are not taken",
                                 "Content-Encoding", "send the body as it is"});
    } else if (streams) {
        co_await stream_jobs(connection, request, context);
        co_return;
    } else if (type == "application/json" || type == "message/rfc822") {
        answer = co_await submit(&connection, &request, &context);
    } else {
        answer = to_answer(
            415, {"request.media_type",
                  type.empty() ? "there is no Content-Type" : "this Content-Type is not known",
                  "Content-Type", "use application/json, application/x-ndjson or message/rfc822"});
    }
    if (answer.status == 0) co_return;  // the peer is gone
    if (answer.status >= 400) count_rejected(context, reason_of(answer.status));
    if (answer.status == 202) {
        const auto took = context.reactor.now() - connection.input_ended();
        context.metrics.histogram(metrics::catalog::ingest_ack_duration)
            .observe(std::chrono::duration<double>(took).count());
    }
    co_await connection.answer(std::move(answer));
}

}  // namespace ingest

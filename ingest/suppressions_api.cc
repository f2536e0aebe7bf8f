#include "ingest/suppressions_api.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "engine/delivery/suppressed.h"
#include "engine/message/address.h"
#include "ingest/api_error.h"
#include "ingest/job_json.h"
#include "ingest/json_out.h"
#include "ingest/query_reader.h"
#include "ingest/units.h"

namespace ingest {

using engine::Task;
using nlohmann::json;

namespace {

constexpr size_t piece_bytes = 256 << 10;  // of lines that are read and stored in one go
constexpr size_t line_bytes_max = 16 << 10;
constexpr size_t reason_octets_max = 500;
constexpr size_t rejected_shown = 100;
constexpr uint64_t limit_default = 1'000, limit_max = 10'000;

std::optional<std::string> form_of(std::string_view address) {
    const auto parsed = engine::parse_address(address);
    if (!parsed) return std::nullopt;
    return engine::suppressed_form(address, parsed->routing_domain);
}

/// An import in the making.
struct Import {
    std::string tenant;  // of the API key; empty: an operator's
    storage::WallTime now{};
    uint64_t lines = 0, added = 0, rejected = 0;
    std::string shown;  // the first that were rejected, as JSON
    storage::Result<void> stored;
    std::set<std::string> lists;  // that have changed

    void reject(std::string_view code, std::string_view message) {
        if (++rejected > rejected_shown) return;
        if (!shown.empty()) shown += ',';
        JsonObject object(shown);
        object.number("line", lines).text("code", code).text("message", message).close();
    }

    void take(std::string_view text, storage::Store& store) {
        std::vector<storage::Suppression> entries;
        while (!text.empty()) {
            const size_t end = std::min(text.find('\n'), text.size());
            const std::string_view line = text.substr(0, end);
            text.remove_prefix(std::min(end + 1, text.size()));
            ++lines;
            if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
            if (auto entry = read(line)) entries.push_back(std::move(*entry));
        }
        for (const storage::Suppression& entry : entries) lists.insert(entry.tenant);
        stored = store.suppress(entries);
        if (stored) added += entries.size();
    }
    /// On the shard, when they are on the lists.
    void look_again(storage::Store& store, storage::WallTime until) {
        for (const std::string& list : std::exchange(lists, {})) store.look_again(list, until);
    }

  private:
    std::optional<storage::Suppression> read(std::string_view line) {
        const json value = json::parse(line, nullptr, false);
        if (!value.is_object()) {
            reject("json.syntax", "is no JSON object");
            return std::nullopt;
        }
        storage::Suppression entry{
            .tenant = tenant.empty() ? "default" : tenant, .source = "api", .time = now};
        bool has_address = false;
        for (const auto& [name, member] : value.items()) {
            if (!member.is_string()) {
                reject("field.type", name.substr(0, 64) + ": must be a string");
                return std::nullopt;
            }
            const std::string text = member.get<std::string>();
            if (name == "address" || name == "to") {
                const auto form = form_of(text);
                if (!form) {
                    reject("field.address", "address: is no address");
                    return std::nullopt;
                }
                entry.address = *form;
                has_address = true;
            } else if (name == "tenant") {
                const bool other = !tenant.empty() && text != tenant;
                const bool good = text == storage::every_tenant ||
                                  !wrong_label(text, JobLimits::tenant_octets_max);
                if (other || !good) {
                    reject(other ? "tenant.other" : "field.label",
                           other ? "tenant: the API key is another tenant's"
                                 : "tenant: is no tenant's name; \"*\" is the list of all");
                    return std::nullopt;
                }
                entry.tenant = text;
            } else if (name == "reason") {
                entry.reason = text.substr(0, reason_octets_max);
            } else if (name == "source") {
                entry.source = text.substr(0, 64);
            } else if (name == "time") {
                const auto time = parse_time(text);
                if (!time) {
                    reject("field.time", "time: " + time.error());
                    return std::nullopt;
                }
                // When it was entered elsewhere; here it counts from now on.
                entry.time = std::min(*time, now);
            } else {
                reject("field.unknown", name.substr(0, 64) +
                                            ": there is no such field; known are: address, tenant, "
                                            "reason, source, time");
                return std::nullopt;
            }
        }
        if (!has_address) {
            reject("field.required", "address: is missing");
            return std::nullopt;
        }
        return entry;
    }
};

/// `?tenant=`; without it the API key's, or the default one.
std::string list_of(QueryReader& query, const HttpRequest& request) {
    std::string named = query.text("tenant");
    if (named.empty()) return request.tenant.empty() ? "default" : request.tenant;
    if (!request.tenant.empty() && named != request.tenant) {
        query.wrong("tenant", "the API key is another tenant's");
    } else if (named != storage::every_tenant) {
        if (const auto wrong = wrong_label(named, JobLimits::tenant_octets_max))
            query.wrong("tenant", *wrong);
    }
    return named;
}

/// `?address=`, as lists have it.
std::optional<std::string> address_of(QueryReader& query) {
    const std::string text = query.text("address");
    if (text.empty()) return std::nullopt;
    auto form = form_of(text);
    if (!form) query.wrong("address", "is no address, such as a@x.test");
    return form;
}

void append_entry(std::string& out, const storage::Suppression& entry) {
    JsonObject object(out);
    object.text("address", entry.address).text("tenant", entry.tenant);
    object.text_if("reason", entry.reason).text_if("source", entry.source);
    object.text("time", format_time(entry.time)).close();
    out += '\n';
}

HttpAnswer storage_failed(const storage::Error& error) {
    return to_answer(503, {"storage.failed", error.what, {}, {}});
}

HttpAnswer answer_of(const Import& taken) {
    std::string body;
    JsonObject object(body);
    object.number("lines", taken.lines).number("added", taken.added);
    object.number("rejected", taken.rejected).raw("errors", "[" + taken.shown + "]").close();
    return {.status = taken.added == 0 && taken.rejected > 0 ? 422 : 200,
            .body = std::move(body) + "\n"};
}

/// Reads the body piece by piece and stores its whole lines as they come.
Task<HttpAnswer> import(HttpConnection* connection, HttpContext* context, Import taken) {
    std::string text;
    for (bool ended = false; !ended;) {
        const auto piece = co_await connection->read_body();
        if (!piece) co_return to_answer(piece.error());
        ended = piece->empty();
        text.append(*piece);
        const size_t last = text.rfind('\n');
        const size_t whole = ended ? text.size() : last == std::string::npos ? 0 : last + 1;
        if (whole == 0 && text.size() > line_bytes_max)
            co_return to_answer(
                413,
                {"line.too_long", fmt::format("line {} is too long", taken.lines + 1), {}, {}});
        if (whole == 0 || (!ended && whole < piece_bytes)) continue;
        const std::string lines = text.substr(0, whole);
        text.erase(0, whole);
        taken.now = context->intake.now();  // an import may take minutes
        co_await context->worker.run([&] { taken.take(lines, context->store); });
        taken.look_again(context->store, context->intake.now());
        if (!taken.stored) co_return storage_failed(taken.stored.error());
    }
    co_return answer_of(taken);
}

}  // namespace

Task<> post_suppressions(HttpConnection& connection, const HttpRequest& request,
                         HttpContext& context) {
    HttpAnswer answer;
    const std::string type = request.media_type();
    if (type == "application/x-ndjson") {
        answer = co_await import(&connection, &context,
                                 {.tenant = request.tenant, .now = context.intake.now()});
    } else if (type == "application/json") {
        auto body = co_await connection.read_whole_body(line_bytes_max);
        if (!body) co_return co_await connection.answer(to_answer(body.error()));
        std::ranges::replace(*body, '\n', ' ');
        Import one{.tenant = request.tenant, .now = context.intake.now()};
        if (body->find_first_not_of(" \t\r") == std::string::npos) *body = "null";  // no entry
        co_await context.worker.run([&] { one.take(*body, context.store); });
        one.look_again(context.store, context.intake.now());
        if (!one.stored) co_return co_await connection.answer(storage_failed(one.stored.error()));
        answer = answer_of(one);
    } else {
        answer = to_answer(415, {"request.media_type", "this Content-Type is not known",
                                 "Content-Type", "use application/json or application/x-ndjson"});
    }
    if (answer.status != 0) co_await connection.answer(std::move(answer));
}

Task<> get_suppressions(HttpConnection& connection, const HttpRequest& request,
                        HttpContext& context) {
    QueryReader query(request);
    const std::string list = list_of(query, request);
    const std::string after = query.text("after");
    const uint64_t limit = query.count("limit", limit_default, limit_max);
    const std::optional<std::string> only = address_of(query);
    if (auto refused = query.refusal()) co_return co_await connection.answer(std::move(*refused));
    storage::Result<std::vector<storage::Suppression>> entries;
    co_await context.worker.run([&] {
        if (!only) {
            entries = context.store.suppressions(list, after, limit);
            return;
        }
        auto one = context.store.suppression(list, *only);
        if (!one)
            entries = std::unexpected(one.error());
        else if (*one)
            entries->push_back(std::move(**one));
    });
    if (!entries) co_return co_await connection.answer(storage_failed(entries.error()));
    std::string body;
    for (const storage::Suppression& entry : *entries) append_entry(body, entry);
    co_await connection.answer({.body = std::move(body), .content_type = "application/x-ndjson"});
}

Task<> delete_suppression_entry(HttpConnection& connection, const HttpRequest& request,
                                HttpContext& context) {
    QueryReader query(request);
    const std::string list = list_of(query, request);
    const std::optional<std::string> address = address_of(query);
    if (query.text("address").empty()) query.wrong("address", "is missing: which entry?");
    if (auto refused = query.refusal()) co_return co_await connection.answer(std::move(*refused));
    storage::Result<uint64_t> removed;
    co_await context.worker.run([&] { removed = context.store.unsuppress(list, {&*address, 1}); });
    if (!removed) co_return co_await connection.answer(storage_failed(removed.error()));
    if (*removed == 0)
        co_return co_await connection.answer(
            to_answer(404, {"suppression.unknown", "the address is not on this list", {}, {}}));
    co_await connection.answer({.body = "{\"removed\":1}\n"});
}

}  // namespace ingest

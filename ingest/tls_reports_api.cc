#include "ingest/tls_reports_api.h"

#include "engine/dns/domain_name.h"
#include "engine/policy/tls_reports.h"
#include "ingest/api_error.h"
#include "ingest/json_out.h"

namespace ingest {

using engine::Task;

namespace {

struct TlsReportQuery {
    engine::ReportDay day{};
    std::string domain;  // empty: all
};

std::expected<TlsReportQuery, BadRequest> read_query(const HttpRequest& request) {
    TlsReportQuery out;
    BadRequest bad;
    bool has_day = false;
    for (const auto& [name, value] : request.query) {
        if (name == "day") {
            const auto day = engine::parse_report_day(value);
            has_day = true;
            if (!day) {
                bad.errors.push_back(
                    {"parameter.value", "is not a day", "?day", "write it like 2026-11-22 (UTC)"});
            }
            out.day = day.value_or(engine::ReportDay{});
        } else if (name == "domain") {
            const auto domain = engine::parse_domain(value);
            if (!domain)
                bad.errors.push_back({"parameter.value", "is not a domain", "?domain", {}});
            out.domain = domain.value_or("");
        } else {
            bad.errors.push_back({"parameter.unknown", "there is no such parameter",
                                  "?" + name.substr(0, 64), "known are: day, domain"});
        }
    }
    if (!has_day) {
        bad.errors.push_back(
            {"parameter.missing", "the day is missing", "?day", "write it like 2026-11-22 (UTC)"});
    }
    if (bad.errors.empty()) return out;
    return std::unexpected(std::move(bad));
}

std::string lines_of(const TlsReporter& reporter, engine::ReportDay day,
                     const engine::TlsDomainCounts& domains) {
    std::string body;
    for (const auto& [domain, counts] : domains) {
        JsonObject line(body);
        line.text("domain", domain)
            .text("sender", reporter.sender)
            .text("day", engine::to_string(day));
        line.key("report");
        append_tls_report(body, reporter, day, domain, counts);
        line.close();
        body += '\n';
    }
    return body;
}

}  // namespace

Task<> get_tls_reports(HttpConnection& connection, const HttpRequest& request,
                       HttpContext& context) {
    const auto query = read_query(request);
    if (!query) co_return co_await connection.answer(to_answer(query.error()));
    std::expected<std::string, std::string> body;
    co_await context.worker.run([&] {
        const auto counts = engine::tls_counts_of(context.store, query->day, query->domain);
        if (counts)
            body = lines_of(context.reporter, query->day, *counts);
        else
            body = std::unexpected(counts.error());
    });
    if (!body) {
        co_return co_await connection.answer(
            to_answer(503, {"storage.failed", body.error(), {}, {}}));
    }
    co_await connection.answer({.body = std::move(*body), .content_type = "application/x-ndjson"});
}

}  // namespace ingest

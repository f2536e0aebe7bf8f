#include "ingest/tls_report_json.h"

#include <fmt/format.h>

#include "ingest/json_out.h"

namespace ingest {

namespace {

void append_texts(std::string& out, const std::vector<std::string>& texts) {
    out += '[';
    for (const std::string& text : texts) {
        if (&text != &texts.front()) out += ',';
        append_json_string(out, text);
    }
    out += ']';
}

void append_failures(std::string& out, const std::vector<engine::TlsFailureCount>& failures) {
    out += '[';
    for (const engine::TlsFailureCount& failure : failures) {
        if (&failure != &failures.front()) out += ',';
        JsonObject object(out);
        object.text("result-type", failure.result)
            .text_if("receiving-mx-hostname", failure.mx)
            .text_if("receiving-ip", failure.ip)
            .number("failed-session-count", failure.sessions)
            .close();
    }
    out += ']';
}

void append_policy(std::string& out, const std::string& domain, const engine::TlsCounts& counts) {
    JsonObject object(out);
    object.key("policy");
    {
        JsonObject policy(out);
        policy.text("policy-type", to_string(counts.type));
        if (!counts.policy.empty()) {
            policy.key("policy-string");
            append_texts(out, counts.policy);
        }
        policy.text("policy-domain", domain);
        if (!counts.mx.empty()) {
            policy.key("mx-host");
            append_texts(out, counts.mx);
        }
        policy.close();
    }
    object.key("summary");
    {
        JsonObject summary(out);
        summary.number("total-successful-session-count", counts.successes)
            .number("total-failure-session-count", counts.failed())
            .close();
    }
    if (!counts.failures.empty()) {
        object.key("failure-details");
        append_failures(out, counts.failures);
    }
    object.close();
}

}  // namespace

void append_tls_report(std::string& out, const TlsReporter& reporter, engine::ReportDay day,
                       const std::string& domain, const std::vector<engine::TlsCounts>& counts) {
    const std::string date = engine::to_string(day);
    JsonObject report(out);
    report.text("organization-name", reporter.organization);
    report.key("date-range");
    {
        JsonObject range(out);
        range.text("start-datetime", date + "T00:00:00Z")
            .text("end-datetime", date + "T23:59:59Z")
            .close();
    }
    report.text("contact-info", reporter.contact)
        .text("report-id", fmt::format("{}_{}@{}", date, domain, reporter.sender));
    report.key("policies");
    out += '[';
    for (const engine::TlsCounts& of_policy : counts) {
        if (&of_policy != &counts.front()) out += ',';
        append_policy(out, domain, of_policy);
    }
    out += ']';
    report.close();
}

}  // namespace ingest

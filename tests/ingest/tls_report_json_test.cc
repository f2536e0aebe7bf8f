#include "ingest/tls_report_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ingest {
namespace {

using namespace std::chrono_literals;

TEST(TlsReportJson, HasTheShapeOfTheStandard) {
    engine::TlsCounts counts{.type = engine::TlsFinding::Type::sts,
                             .policy = {"version: STSv1", "mode: testing"},
                             .mx = {"*.x.test"}};
    counts.add({}, "mx.x.test", "192.0.2.1");
    counts.add({.result = "certificate-expired"}, "mx.x.test", "192.0.2.1");
    std::string text;
    append_tls_report(text, {"out1.example.com", "Example \"Mail\"", "tls@example.com"},
                      engine::ReportDay(2026y / std::chrono::November / 22), "x.test", {counts});
    EXPECT_EQ(nlohmann::json::parse(text), nlohmann::json::parse(R"({
        "organization-name": "Example \"Mail\"",
        "date-range": {"start-datetime": "2026-11-22T00:00:00Z",
                       "end-datetime": "2026-11-22T23:59:59Z"},
        "contact-info": "tls@example.com",
        "report-id": "2026-11-22_x.test@out1.example.com",
        "policies": [{
            "policy": {"policy-type": "sts", "policy-domain": "x.test", "mx-host": ["*.x.test"],
                       "policy-string": ["version: STSv1", "mode: testing"]},
            "summary": {"total-successful-session-count": 1, "total-failure-session-count": 1},
            "failure-details": [{"result-type": "certificate-expired",
                                 "receiving-mx-hostname": "mx.x.test",
                                 "receiving-ip": "192.0.2.1", "failed-session-count": 1}]}]})"));
}

}  // namespace
}  // namespace ingest

// sluice tls-report: the TLS reports of a day (RFC 8460), as files to be sent or as text.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/dns/cares_client.h"
#include "engine/policy/tls_reports.h"
#include "engine/reactor/uring_reactor.h"
#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/gzip.h"
#include "ingest/http_client.h"

namespace ingest {

namespace {

using nlohmann::ordered_json;

struct DayReport {
    std::string domain, sender;
    ordered_json report;
    std::vector<std::string> rua;  // where the domain wants it; empty: nowhere
};

std::expected<std::vector<DayReport>, std::string> reports_in(const std::string& lines) {
    std::vector<DayReport> reports;
    for (size_t at = 0; at < lines.size();) {
        const size_t end = std::min(lines.find('\n', at), lines.size());
        const auto line =
            ordered_json::parse(lines.begin() + static_cast<ptrdiff_t>(at),
                                lines.begin() + static_cast<ptrdiff_t>(end), nullptr, false);
        if (!line.is_object() || !line.contains("report"))
            return std::unexpected("the daemon's answer is not what this version reads");
        reports.push_back({line.value("domain", ""), line.value("sender", ""), line["report"], {}});
        at = end + 1;
    }
    return reports;
}

/// The uris of a record "v=TLSRPTv1; rua=mailto:a@x.test,https://x.test/r" (RFC 8460 3).
std::vector<std::string> rua_of(std::string_view record) {
    std::vector<std::string> uris;
    if (!record.starts_with("v=TLSRPTv1")) return uris;
    const size_t rua = record.find("rua=");
    if (rua == std::string_view::npos) return uris;
    record = record.substr(rua + 4);
    record = record.substr(0, record.find(';'));
    constexpr std::string_view blanks = " \t";
    while (!record.empty()) {
        const size_t end = std::min(record.find(','), record.size());
        std::string_view uri = record.substr(0, end);
        uri.remove_prefix(std::min(uri.find_first_not_of(blanks), uri.size()));
        uri = uri.substr(0, uri.find_last_not_of(blanks) + 1);
        if (!uri.empty()) uris.emplace_back(uri);
        record.remove_prefix(std::min(end + 1, record.size()));
    }
    return uris;
}

engine::Task<> ask_rua(engine::DnsClient* dns, DayReport* report) {
    const auto answer =
        co_await dns->query("_smtp._tls." + report->domain, engine::DnsClient::Type::txt);
    for (const std::string& text : answer.texts) {
        report->rua = rua_of(text);
        if (!report->rua.empty()) co_return;
    }
}

std::expected<void, std::string> ask_all(std::vector<DayReport>& reports, const Config& config) {
    auto reactor =
        engine::UringReactor::create({.entries = 64, .buffer_count = 16, .buffer_count_max = 64});
    if (!reactor) return std::unexpected(reactor.error().what);
    auto dns = engine::CaresClient::create(**reactor, {.servers = config.dns_servers});
    if (!dns) return std::unexpected(dns.error().what);
    engine::Scope scope;
    for (DayReport& report : reports) scope.spawn(ask_rua(dns->get(), &report));
    while (scope.running() > 0) (*reactor)->turn(engine::Instant::max());
    scope.spawn((*dns)->stop());
    while (scope.running() > 0) (*reactor)->turn(engine::Instant::max());
    return {};
}

/// As RFC 8460 5.1 names it: sender!domain!begin!end.json, in seconds since 1970.
std::string file_name(const DayReport& report, engine::ReportDay day, TlsReportOptions::Pack pack) {
    const auto begin = std::chrono::sys_seconds(day);
    return fmt::format("{}!{}!{}!{}.json{}", report.sender, report.domain,
                       begin.time_since_epoch().count(),
                       (begin + std::chrono::days(1)).time_since_epoch().count() - 1,
                       pack == TlsReportOptions::Pack::gzip ? ".gz" : "");
}

std::expected<void, std::string> write(const std::filesystem::path& path,
                                       const std::string& bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (file) return {};
    return std::unexpected(fmt::format(
        "{} could not be written; is there room, and may this user write there?", path.string()));
}

/// A file a report, and index.json, which says where each is wanted.
std::expected<void, std::string> write_all(const std::vector<DayReport>& reports,
                                           const TlsReportOptions& options, engine::ReportDay day) {
    std::error_code error;
    std::filesystem::create_directories(options.directory, error);
    if (error) {
        return std::unexpected(
            fmt::format("{} cannot be made: {}", options.directory, error.message()));
    }
    ordered_json index = ordered_json::array();
    for (const DayReport& report : reports) {
        const std::string name = file_name(report, day, options.pack);
        std::expected<std::string, std::string> bytes = report.report.dump() + "\n";
        if (options.pack == TlsReportOptions::Pack::gzip) bytes = gzipped(*bytes);
        if (!bytes) return std::unexpected(bytes.error());
        const auto written = write(std::filesystem::path(options.directory) / name, *bytes);
        if (!written) return written;
        index.push_back({{"file", name}, {"domain", report.domain}, {"rua", report.rua}});
    }
    return write(std::filesystem::path(options.directory) / "index.json", index.dump(2) + "\n");
}

void print_text(const std::vector<DayReport>& reports) {
    if (reports.empty()) fmt::print("No TLS sessions were counted on that day.\n");
    for (const DayReport& report : reports) {
        fmt::print("{}\n", report.domain);
        for (const auto& policy : report.report.value("policies", ordered_json::array())) {
            const auto& summary = policy["summary"];
            fmt::print("  {:<16} {} good, {} failed\n", policy["policy"].value("policy-type", ""),
                       summary.value("total-successful-session-count", uint64_t{0}),
                       summary.value("total-failure-session-count", uint64_t{0}));
            for (const auto& failure : policy.value("failure-details", ordered_json::array())) {
                fmt::print("    {:<28} {} {}\n", failure.value("result-type", ""),
                           failure.value("failed-session-count", uint64_t{0}),
                           failure.value("receiving-mx-hostname", ""));
            }
        }
    }
}

}  // namespace

int tls_report(const TlsReportOptions& options, const Config& config) {
    const auto day = engine::parse_report_day(options.day);
    if (!day)
        return failed("tls-report",
                      fmt::format("'{}' is not a day; write it like 2026-11-22", options.day));
    std::string target = "/v1/tls-reports?day=" + options.day;
    if (!options.domain.empty()) target += "&domain=" + percent_encoded(options.domain);
    const auto reply = call({.server = options.client.server, .target = target});
    if (!reply) return failed("tls-report", reply.error());
    if (!reply->ok()) return failed("tls-report", readable_errors(reply->status, reply->body));
    auto reports = reports_in(reply->body);
    if (!reports) return failed("tls-report", reports.error());
    if (options.directory.empty()) {
        if (options.client.output == Output::json)
            fmt::print("{}", reply->body);
        else
            print_text(*reports);
        return 0;
    }
    if (auto asked = ask_all(*reports, config); !asked) return failed("tls-report", asked.error());
    if (auto written = write_all(*reports, options, *day); !written)
        return failed("tls-report", written.error());
    fmt::print("{} reports in {}; index.json there says where each is wanted\n", reports->size(),
               options.directory);
    return 0;
}

}  // namespace ingest

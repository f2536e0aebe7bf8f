// A TLS report (RFC 8460 4.4) as JSON.
#pragma once

#include <string>
#include <vector>

#include "engine/policy/tls_reports.h"

namespace ingest {

/// Who reports.
struct TlsReporter {
    std::string sender;        // a host name; the first part of file names (RFC 8460 5.1)
    std::string organization;  // for people
    std::string contact;       // an address
};

/// One domain's report of a day.
void append_tls_report(std::string& out, const TlsReporter& reporter, engine::ReportDay day,
                       const std::string& domain, const std::vector<engine::TlsCounts>& counts);

}  // namespace ingest

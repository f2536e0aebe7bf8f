// Delivery status notifications as text: multipart/report of RFC 3462 with the fields of RFC 3464.
// Pure: who is told of what is decided in engine/delivery/reports.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/types.h"

namespace engine {

struct StatusReport {
    enum class Action : uint8_t { failed, delayed, relayed };

    struct Recipient {
        std::string address;   // as the submitter wrote it
        std::string original;  // ORCPT, "rfc822;ann@x.test"; empty: none
        std::string status;    // "5.1.1"
        std::string host;      // that spoke; empty: none
        std::string reply;     // its reply with the code, "550 5.1.1 no"; empty: none
        std::string words;     // what happened, when there was no reply
        std::optional<storage::WallTime> last_attempt;
        std::optional<storage::WallTime> retried_until;
    };

    Action action = Action::failed;
    std::string reporting_host;  // our name
    std::string to;              // the envelope sender of what is reported on
    std::string envid;           // ENVID, xtext decoded; empty: none
    storage::JobId id{};         // of the report: names its boundary
    storage::WallTime arrival{}, now{};
    std::vector<Recipient> recipients;  // at least one
    std::string_view original;          // the mail; empty: it is lost
    enum class Return : uint8_t { headers, full } give_back = Return::headers;
};
std::string_view to_string(StatusReport::Action action);

/// The whole mail with CRLF line ends, without Date and Message-ID (Content::from_raw adds them).
/// 7-bit unless `to` is not or 8-bit mail is given back whole.
std::string write_report(const StatusReport& report);

}  // namespace engine

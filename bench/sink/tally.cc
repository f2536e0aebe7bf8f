#include "bench/sink/tally.h"

#include <fmt/format.h>

#include <string_view>

namespace sink {
namespace {

constexpr std::array<std::string_view, fault_kinds> fault_names{
    "bare_newline", "long_line",   "eight_bit",   "size_exceeded",
    "early_input",  "bad_command", "bad_address", "overlong_command"};

/// {"a":1,"b":2} of the pairs that are added; pairs of zero are left out.
class Object {
  public:
    void add(std::string_view name, uint64_t value) {
        if (value > 0) add_raw(name, fmt::to_string(value));
    }
    void add_raw(std::string_view name, std::string_view value) {
        fmt::format_to(std::back_inserter(text_), "{}\"{}\":{}", text_.empty() ? "" : ",", name,
                       value);
    }
    bool empty() const { return text_.empty(); }
    std::string json() const { return fmt::format("{{{}}}", text_); }

  private:
    std::string text_;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::string Tally::json() const {
    Object all_replies, all_drops, all_faults;
    for (size_t stage = 0; stage < stages; ++stage) {
        Object codes;
        for (size_t code = 0; code < replies[stage].size(); ++code)
            codes.add(fmt::to_string(code), replies[stage][code]);
        if (!codes.empty()) all_replies.add_raw(name(Stage(stage)), codes.json());
        all_drops.add(name(Stage(stage)), drops[stage]);
    }
    for (size_t fault = 0; fault < fault_kinds; ++fault)
        all_faults.add(fault_names[fault], faulty[fault]);
    return fmt::format(
        R"({{"seconds":{:.3f},"connections":{{"opened":{},"open":{},"refused":{},"timed_out":{}}},)"
        R"("messages":{{"accepted":{},"bytes":{}}},"recipients":{{"accepted":{}}},"replies":{},"drops":{},)"
        R"("faults":{},"dns":{{"queries":{},"nxdomain":{}}}}})",
        seconds_since(started), connections_opened, connections_open, connections_refused,
        connections_timed_out, messages_accepted, message_bytes, recipients_accepted,
        all_replies.json(), all_drops.json(), all_faults.json(), dns_queries, dns_nxdomain);
}

std::string Tally::text() const {
    std::string out = fmt::format(
        "{} messages ({} recipients, {:.1f} MiB) accepted over {} connections in {:.1f} s\n",
        messages_accepted, recipients_accepted, double(message_bytes) / (1 << 20),
        connections_opened, seconds_since(started));
    auto append = std::back_inserter(out);
    for (size_t stage = 0; stage < stages; ++stage) {
        for (size_t code = 400; code < replies[stage].size(); ++code) {
            if (replies[stage][code] > 0)
                fmt::format_to(append, "  {:7} {}: {}\n", name(Stage(stage)), code,
                               replies[stage][code]);
        }
        if (drops[stage] > 0)
            fmt::format_to(append, "  {:7} dropped: {}\n", name(Stage(stage)), drops[stage]);
    }
    for (size_t fault = 0; fault < fault_kinds; ++fault) {
        if (faulty[fault] > 0)
            fmt::format_to(append, "  client fault {}: {}\n", fault_names[fault], faulty[fault]);
    }
    if (dns_queries > 0)
        fmt::format_to(append, "  dns: {} queries, {} of unknown names\n", dns_queries,
                       dns_nxdomain);
    return out;
}

}  // namespace sink

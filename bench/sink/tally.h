// Everything the sink counts, and the forms in which it tells it. Single-threaded, like the sink.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "bench/sink/script.h"

namespace sink {

/// What a client did that the RFCs forbid. The sink is a checker as well: a clean run shows none of
/// these.
enum class Fault : uint8_t {
    bare_newline,   // in a message or a command
    long_line,      // of a message
    eight_bit,      // octets above 127 without BODY=8BITMIME
    size_exceeded,  // content larger than its SIZE= said
    early_input,    // something sent behind a command that must end its group
    bad_command,    // answered with 500-504 or 555
    bad_address,
    overlong_command,
};
constexpr size_t fault_kinds = 8;

struct Tally {
    std::array<std::array<uint64_t, 600>, stages> replies{};  // by stage and code
    std::array<uint64_t, stages> drops{};                     // connections cut in place of a reply
    std::array<uint64_t, fault_kinds> faulty{};
    uint64_t connections_opened = 0;
    uint64_t connections_open = 0;
    uint64_t connections_refused = 0;  // over a limit of connections
    uint64_t connections_timed_out = 0;
    uint64_t messages_accepted = 0;
    uint64_t message_bytes = 0;  // of accepted messages
    uint64_t recipients_accepted = 0;
    uint64_t dns_queries = 0;
    uint64_t dns_nxdomain = 0;
    std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();

    void count(Fault fault) { ++faulty[size_t(fault)]; }
    uint64_t& reply(Stage stage, unsigned code) { return replies[size_t(stage)][code]; }

    /// One JSON object:
    /// {"seconds","connections":{},"messages":{},"recipients":{},"replies":{stage:{code:n}},
    /// "drops":{},"faults":{},"dns":{}}. Counts of zero are left out of replies, drops and faults.
    std::string json() const;

    /// The same for a reader, a few lines.
    std::string text() const;
};

}  // namespace sink

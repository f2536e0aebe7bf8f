// The three ways to drive an engine. Each runs until everything is answered, an error, or the
// patience's end.
#pragma once
#include <chrono>

#include "bench/load/corpus.h"
#include "bench/load/report.h"

namespace load {

struct RunOptions {
    bench::Endpoint server;
    std::string api_path = "/v1/messages";
    uint64_t recipients = 1000;
    unsigned clients = 10;           // connections at a time
    unsigned per_request = 1;        // recipients of one JSON request
    bool job_per_recipient = false;  // NDJSON: each recipient is a job of its own, with its content
    unsigned window = 1;             // SMTP with BDAT: messages in flight on a session
    bool chunking = false;           // SMTP: BDAT in place of DATA
    std::chrono::nanoseconds patience = std::chrono::minutes(1);  // without any progress
};

/// POST /v1/messages, one JSON job a request, on keep-alive connections.
Report run_json(const RunOptions& options, const Corpus& corpus, Progress& progress);

/// POST /v1/messages with application/x-ndjson: one endless request a connection, answers read as
/// they come.
Report run_ndjson(const RunOptions& options, const Corpus& corpus, Progress& progress);

/// SMTP sessions with PIPELINING: the next envelope goes with the last message.
Report run_smtp(const RunOptions& options, const Corpus& corpus, Progress& progress);

/// Watches that a run gets on: true when nothing has been answered for longer than the patience.
class Stall {
  public:
    explicit Stall(std::chrono::nanoseconds patience) : patience_(patience) {}
    bool over(const Report& report);

  private:
    std::chrono::nanoseconds patience_;
    uint64_t last_ = 0;
    Clock::time_point since_ = Clock::now();
};

}  // namespace load

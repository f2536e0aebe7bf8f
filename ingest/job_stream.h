// POST /v1/messages with application/x-ndjson: jobs and recipients line by line, without bound.
// Lines are parsed while earlier ones are on their way to the disk; the answer grows with every
// commit.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/reactor/scope.h"
#include "ingest/http_connection.h"
#include "ingest/http_context.h"
#include "ingest/job_json.h"

namespace ingest {

struct StreamLimits {
    static constexpr size_t recipient_line_bytes_max = 1 << 20;
    static constexpr size_t job_line_bytes_max = JobLimits::request_bytes_max;
    static constexpr size_t batch_recipients = 1'000;  // one commit
    static constexpr size_t batch_bytes = 1 << 20;
    static constexpr size_t batches_in_flight_max = 2;  // so that the parser overlaps with the disk
    static constexpr size_t keyed_in_flight_max =
        64;  // jobs with an idempotency key: a commit each
    static constexpr size_t answer_bytes = 16
                                           << 10;  // gathered before the parser stops to write them
};

class JobStream {
  public:
    enum class Ids : uint8_t { no, yes };
    /// `tenant`: whose key came; empty: any.
    JobStream(HttpConnection& connection, HttpContext& context, std::string tenant, Ids ids);
    JobStream(const JobStream&) = delete;
    JobStream& operator=(const JobStream&) = delete;
    engine::Task<> run();

  private:
    struct Batch {
        std::vector<engine::JobPart> parts;
        std::vector<uint64_t> lines;  // where each part's job began
        size_t recipients = 0, bytes = 0;
    };
    /// What a batch gave to the intake, for the answer.
    struct Given {
        std::shared_ptr<const engine::OpenJob> job;
        uint64_t line = 0;  // where the job began
        uint32_t recipients = 0;
        bool last = false;
    };
    /// Why read_lines() came back.
    enum class Pause : uint8_t {
        input_ended,
        batch_full,
        large_job,
        keyed_job,
        answers_waiting,
        stopped
    };

    Pause read_lines();
    Pause read_line(std::string_view line);
    void read_recipient(std::string_view line);
    Pause take_job(std::expected<ParsedJob, BadRequest> parsed, std::string_view line);
    Pause add_job(ParsedJob parsed);
    engine::Task<> serve(Pause pause);
    engine::Task<> parse_large();
    engine::Task<> store_keyed(ParsedJob parsed, std::string text, std::string digest,
                               uint64_t line);
    void end_job();
    void check_unfinished_line();

    engine::Task<> commit_batch();
    engine::Task<> commit(Batch batch);
    void start_commit();
    bool may_commit() const;
    engine::Task<> changed();  // until a commit or a keyed job ended
    void wake();

    engine::JobPart& open_part();
    void report_commit(const std::vector<Given>& given);
    void reject_line(uint64_t line, std::string_view to, const std::vector<ApiError>& errors);
    void stop(HttpAnswer answer);
    engine::Task<> flush();
    engine::Task<> finish();

    HttpConnection& connection_;
    HttpContext& context_;
    const std::string tenant_;
    const Ids ids_;
    engine::Scope scope_;

    std::string
        text_;  // what came and is not read; a line begins at at_, no line end lies before scanned_
    size_t at_ = 0, scanned_ = 0;
    std::string_view large_line_;  // of text_, waits for the worker
    uint64_t line_ = 0;            // number of the line in hand, from 1

    std::shared_ptr<engine::OpenJob> job_;  // whose recipients come line by line; null: none
    uint64_t job_line_ = 0;
    bool job_begun_ = false;  // a part of it was given to a batch
    uint64_t refused_job_line_ = 0;
    std::optional<ParsedJob> keyed_;
    std::string keyed_digest_;

    Batch batch_;
    size_t in_flight_ = 0, keyed_in_flight_ = 0;
    bool first_part_in_flight_ =
        false;  // of a job that goes on: its later parts must not overtake it
    std::coroutine_handle<> waiter_;

    std::string out_;
    bool begun_ = false, writing_ = false, stopped_ = false, commit_failed_ = false;
    std::optional<HttpAnswer> failure_;
    uint64_t jobs_ = 0, accepted_ = 0, rejected_ = 0;
    uint64_t suppressed_ = 0;  // of the accepted, in jobs that have ended
};

engine::Task<> stream_jobs(HttpConnection& connection, const HttpRequest& request,
                           HttpContext& context);

}  // namespace ingest

#include "ingest/jobs_api.h"

#include <algorithm>

#include "ingest/event_json.h"
#include "ingest/job_counts_json.h"
#include "ingest/query_reader.h"
#include "ingest/units.h"
#include "storage/ids.h"

namespace ingest {

using engine::Task;
using storage::JobId;
using storage::WallTime;

namespace {

std::string_view last_segment(const HttpRequest& request) {
    return std::string_view(request.path).substr(request.path.rfind('/') + 1);
}

HttpAnswer storage_failed(const storage::Error& error) {
    return to_answer(503, {"storage.failed", error.what, {}, {}});
}

void append_job(std::string& out, const storage::JobStatus& status, WallTime now) {
    JsonObject object(out);
    const storage::Job& job = status.job;
    object.text("job", storage::to_text(job.id))
        .text("tenant", job.tenant)
        .text_if("campaign", job.campaign);
    object.text("class", to_string(job.klass))
        .text("from", job.sender)
        .text("created", format_time(job.created));
    object.flag("complete", status.complete);
    append_counts(object, status.counts);
    const uint64_t open = status.counts.open(), ended = status.counts.accepted - open;
    const WallTime until = status.finished.value_or(now);
    // Over the job's whole life: steadier than the last seconds, and late jobs look late.
    const double seconds =
        std::max(std::chrono::duration<double>(until - job.created).count(), 0.001);
    const double rate = static_cast<double>(ended) / seconds;
    object.number("rate_per_second", rate);
    if (status.finished) {
        object.text("finished", format_time(*status.finished));
    } else if (open > 0 && ended > 0) {
        const double left = std::min(static_cast<double>(open) / rate, 10.0 * 365 * 86'400);
        object.text(
            "estimated_finish",
            format_time(now + std::chrono::milliseconds(static_cast<int64_t>(left * 1000))));
    }
    object.close();
}

struct JobsQuery {
    std::string tenant, campaign;
    std::string_view state, sort;
    uint64_t recipients_min = 0, limit = JobListLimits::jobs_default;
    JobId before{UINT64_MAX};

    bool takes(const storage::JobStatus& status) const {
        const bool open = !status.finished;
        return (tenant.empty() || status.job.tenant == tenant) &&
               (campaign.empty() || status.job.campaign == campaign) &&
               (state == "any" || (state == "open") == open) &&
               status.counts.accepted >= recipients_min;
    }
};

/// What a request has read so far, from the newest job back. Worked on by the worker.
struct JobsPage {
    JobsQuery query;
    std::vector<storage::JobStatus> found;
    JobId cursor{};       // the last one that was looked at
    bool at_end = false;  // there are no older ones
    std::string error;

    void keep_the_most_open() {
        std::ranges::stable_sort(found, std::greater{},
                                 [](const storage::JobStatus& job) { return job.counts.open(); });
        if (found.size() > query.limit) found.resize(query.limit);
    }

    void read(storage::Store& store) {
        scan(store);
        if (query.sort == "open") keep_the_most_open();
    }

    void scan(storage::Store& store) {
        cursor = query.before;
        for (size_t scanned = 0; scanned < JobListLimits::scanned_max;) {
            auto rows = store.jobs(cursor, JobListLimits::page);
            if (!rows) {
                error = rows.error().what;
                return;
            }
            for (storage::JobStatus& row : *rows) {
                cursor = row.job.id;
                if (!query.takes(row)) continue;
                found.push_back(std::move(row));
                if (query.sort == "newest" && found.size() >= query.limit) return;
                if (found.size() >= 2 * query.limit + JobListLimits::page) keep_the_most_open();
            }
            at_end = rows->size() < JobListLimits::page;
            if (at_end) return;
            scanned += rows->size();
        }
    }
};

}  // namespace

Task<> get_jobs(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    QueryReader parameters(request);
    JobsPage page;
    page.query.limit = std::max<uint64_t>(
        parameters.count("limit", JobListLimits::jobs_default, JobListLimits::jobs_max), 1);
    page.query.state = parameters.word("state", {"any", "open", "finished"});
    page.query.sort = parameters.word("sort", {"newest", "open"});
    page.query.campaign = parameters.text("campaign");
    page.query.tenant = parameters.text("tenant");
    page.query.recipients_min = parameters.count("recipients_min", 0, UINT64_MAX);
    if (const std::string before = parameters.text("before"); !before.empty()) {
        const auto id = storage::parse_job_id(before);
        if (!id) parameters.wrong("before", "this is no job id");
        page.query.before = id.value_or(JobId{UINT64_MAX});
    }
    if (auto no = parameters.refusal()) co_return co_await connection.answer(std::move(*no));
    if (!request.tenant.empty()) page.query.tenant = request.tenant;
    co_await context.worker.run([&] { page.read(context.store); });
    if (!page.error.empty()) {
        co_return co_await connection.answer(
            to_answer(503, {"storage.failed", page.error, {}, {}}));
    }
    const WallTime now = context.intake.now();
    std::string body;
    JsonObject object(body);
    object.text("time", format_time(now));
    object.key("jobs");
    body += '[';
    for (const storage::JobStatus& status : page.found) {
        if (&status != page.found.data()) body += ',';
        append_job(body, status, now);
    }
    body += ']';
    if (!page.at_end) object.text("before", storage::to_text(page.cursor));
    object.close();
    co_await connection.answer({.body = std::move(body) + "\n"});
}

Task<> get_job(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    const auto id = storage::parse_job_id(last_segment(request));
    if (!id) {
        co_return co_await connection.answer(
            to_answer(422, {"job.id",
                            "this is no job id",
                            {},
                            "a job id has 13 characters, as the answer to its submission said"}));
    }
    storage::Result<std::optional<storage::JobStatus>> status;
    co_await context.worker.run([&] { status = context.store.job(*id); });
    if (!status) co_return co_await connection.answer(storage_failed(status.error()));
    const bool known =
        *status && (request.tenant.empty() || (*status)->job.tenant == request.tenant);
    if (!known) {
        co_return co_await connection.answer(
            to_answer(404, {"job.unknown",
                            "there is no such job",
                            {},
                            "jobs are forgotten some days after their end"}));
    }
    std::string body;
    append_job(body, **status, context.intake.now());
    co_await connection.answer({.body = std::move(body) + "\n"});
}

}  // namespace ingest

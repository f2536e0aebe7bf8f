#include "ingest/job_stream.h"

#include <fmt/format.h>

#include "ingest/digest.h"
#include "ingest/json_out.h"
#include "ingest/messages_api.h"
#include "storage/ids.h"

namespace ingest {

using engine::JobPart;
using engine::Task;

namespace {
constexpr size_t parse_here_bytes_max = 64 << 10;
constexpr std::string_view answer_type = "application/x-ndjson";

std::string_view without_line_end(std::string_view line) {
    while (line.ends_with('\r') || line.ends_with(' ') || line.ends_with('\t'))
        line.remove_suffix(1);
    return line;
}
}  // namespace

JobStream::JobStream(HttpConnection& connection, HttpContext& context, std::string tenant, Ids ids)
    : connection_(connection), context_(context), tenant_(std::move(tenant)), ids_(ids) {}

// ---- reading

/// Reads complete lines until something must be waited for. Never suspends: the hot loop is plain
/// code.
JobStream::Pause JobStream::read_lines() {
    while (!stopped_) {
        const size_t end = text_.find('\n', std::max(at_, scanned_));
        if (end == std::string::npos) {
            scanned_ = text_.size();
            check_unfinished_line();
            return stopped_ ? Pause::stopped : Pause::input_ended;
        }
        const std::string_view line =
            without_line_end(std::string_view(text_).substr(at_, end - at_));
        at_ = end + 1;
        ++line_;
        if (line.empty()) continue;
        if (const Pause pause = read_line(line); pause != Pause::input_ended) return pause;
        if (batch_.recipients >= StreamLimits::batch_recipients ||
            batch_.bytes >= StreamLimits::batch_bytes) {
            return Pause::batch_full;
        }
        if (out_.size() >= StreamLimits::answer_bytes) return Pause::answers_waiting;
    }
    return Pause::stopped;
}

JobStream::Pause JobStream::read_line(std::string_view line) {
    const bool job = begins_job(line) || (!job_ && refused_job_line_ == 0);
    if (!job) {
        read_recipient(line);
        return Pause::input_ended;
    }
    end_job();
    if (line.size() > parse_here_bytes_max) {
        large_line_ = line;
        return Pause::large_job;
    }
    const engine::Origin origin{context_.intake.node_name(), context_.intake.new_job_id(),
                                context_.intake.now()};
    return take_job(context_.reader.read_job(line, origin, RecipientList::optional), line);
}

void JobStream::read_recipient(std::string_view line) {
    if (!job_) {
        // They would go to nobody or, worse, to the job before.
        return stop(
            to_answer(422, {"stream.no_job",
                            fmt::format("line {}: these recipients' job was refused at line {}",
                                        line_, refused_job_line_),
                            {},
                            "mend that line and send the stream from there"}));
    }
    if (line.size() > StreamLimits::recipient_line_bytes_max) {
        return reject_line(line_, {},
                           {{"line.too_long",
                             fmt::format("over {} bytes", StreamLimits::recipient_line_bytes_max),
                             {},
                             {}}});
    }
    auto recipient = context_.reader.read_recipient(line, *job_->content);
    if (!recipient) return reject_line(line_, recipient.error().to, recipient.error().errors);
    batch_.bytes += recipient->address.size() + recipient->vars.size() + recipient->meta.size();
    ++batch_.recipients;
    open_part().recipients.push_back(std::move(*recipient));
}

JobStream::Pause JobStream::take_job(std::expected<ParsedJob, BadRequest> parsed,
                                     std::string_view line) {
    if (!parsed) {
        refused_job_line_ = line_;
        reject_line(line_, {}, parsed.error().errors);
        return Pause::input_ended;
    }
    if (auto wrong = settle_tenant(tenant_, *parsed)) {
        refused_job_line_ = line_;
        reject_line(line_, {}, {std::move(*wrong)});
        return Pause::input_ended;
    }
    refused_job_line_ = 0;
    for (const Rejected& bad : parsed->rejected) {
        reject_line(line_, bad.to,
                    {{bad.code, bad.message, fmt::format("recipients[{}].to", bad.index), {}}});
    }
    if (parsed->idempotency_key.empty()) return add_job(*std::move(parsed));
    if (!parsed->has_recipients) {
        // A repeat could not tell how much of the job the first try has left behind.
        refused_job_line_ = line_;
        reject_line(
            line_, {},
            {{"idempotency.recipients", "a job with a key holds its recipients in its own line",
              "idempotency_key", "add \"recipients\": […], or leave the key out"}});
        return Pause::input_ended;
    }
    if (parsed->recipients.empty()) return Pause::input_ended;
    keyed_ = *std::move(parsed);
    keyed_digest_ = sha256({line});
    return Pause::keyed_job;
}

JobStream::Pause JobStream::add_job(ParsedJob parsed) {
    batch_.bytes += parsed.open->content->bytes();
    if (parsed.has_recipients) {
        if (parsed.recipients.empty()) return Pause::input_ended;
        for (const engine::Recipient& recipient : parsed.recipients) {
            batch_.bytes +=
                recipient.address.size() + recipient.vars.size() + recipient.meta.size();
        }
        batch_.recipients += parsed.recipients.size();
        batch_.parts.push_back({std::move(parsed.open), std::move(parsed.recipients), true});
        batch_.lines.push_back(line_);
        // Recipients that follow belong to no job: this one is complete.
        refused_job_line_ = 0;
        return Pause::input_ended;
    }
    job_ = std::move(parsed.open);
    job_line_ = line_;
    job_begun_ = false;
    return Pause::input_ended;
}

JobPart& JobStream::open_part() {
    if (batch_.parts.empty() || batch_.parts.back().job != job_) {
        batch_.parts.push_back({job_, {}, false});
        batch_.lines.push_back(job_line_);
        job_begun_ = true;
    }
    return batch_.parts.back();
}

/// The job whose recipients came line by line gets no more of them.
void JobStream::end_job() {
    if (job_ && job_begun_) open_part().last = true;
    if (job_ && !job_begun_ && !commit_failed_) {
        reject_line(job_line_, {}, {{"recipients.none", "the job got no recipient", {}, {}}});
    }
    job_ = nullptr;
}

void JobStream::check_unfinished_line() {
    const std::string_view begun = std::string_view(text_).substr(at_);
    if (begun.size() <= StreamLimits::job_line_bytes_max) return;
    stop(to_answer(
        413, {"line.too_long",
              fmt::format("line {} is over {} bytes", line_ + 1, StreamLimits::job_line_bytes_max),
              {},
              {}}));
}

Task<> JobStream::parse_large() {
    const engine::Origin origin{context_.intake.node_name(), context_.intake.new_job_id(),
                                context_.intake.now()};
    std::expected<ParsedJob, BadRequest> parsed;
    co_await context_.worker.run([&] {
        JobReader reader(context_.reader.known_pool());
        parsed = reader.read_job(large_line_, origin, RecipientList::optional);
    });
    const std::string_view line = std::exchange(large_line_, {});
    const Pause pause = take_job(std::move(parsed), line);
    if (pause != Pause::input_ended) co_await serve(pause);
}

Task<> JobStream::serve(Pause pause) {
    switch (pause) {
        case Pause::batch_full:
            co_return co_await commit_batch();
        case Pause::large_job:
            co_return co_await parse_large();
        case Pause::answers_waiting:
            co_await flush();
            while (writing_)
                co_await changed();  // a peer that does not read its answers stops its own stream
            co_return;
        case Pause::keyed_job: {
            while (keyed_in_flight_ >= StreamLimits::keyed_in_flight_max) co_await changed();
            ++keyed_in_flight_;
            std::string text = accepted_text(*keyed_, ids_ == Ids::yes);
            ParsedJob parsed = *std::exchange(keyed_, std::nullopt);
            scope_.spawn(
                store_keyed(std::move(parsed), std::move(text), std::move(keyed_digest_), line_));
            co_return;
        }
        case Pause::input_ended:
        case Pause::stopped:
            co_return;
    }
}

Task<> JobStream::run() {
    std::optional<BodyCut> cut;
    while (!stopped_ && !connection_.broken()) {
        const auto piece = co_await connection_.read_body();
        if (!piece) {
            cut = piece.error();
            break;
        }
        const bool ended = piece->empty();
        text_.erase(0, at_);
        scanned_ -= std::min(scanned_, at_);
        at_ = 0;
        if (!ended)
            text_.append(*piece);
        else if (!text_.empty())
            text_ += '\n';  // the last line lacks its end
        text_.reserve(text_.size() + JobReader::padding);
        while (true) {
            const Pause pause = read_lines();
            if (pause == Pause::input_ended || pause == Pause::stopped) break;
            co_await serve(pause);
        }
        if (ended) break;
        // What there is goes to the disk when the disk has nothing to do; else it waits for more of
        // its kind.
        if (in_flight_ == 0) start_commit();
        co_await flush();
    }
    if (cut && cut->status != 0) stop(to_answer(*cut));
    if (cut || connection_.broken()) stopped_ = true;
    co_await finish();
}

// ---- committing

bool JobStream::may_commit() const {
    const size_t most = ids_ == Ids::yes ? 1 : StreamLimits::batches_in_flight_max;
    return in_flight_ < most && !first_part_in_flight_;
}

void JobStream::start_commit() {
    if (batch_.parts.empty()) return;
    const JobPart& last = batch_.parts.back();
    first_part_in_flight_ = !last.last && last.job->recipients == 0;
    ++in_flight_;
    scope_.spawn(commit(std::exchange(batch_, {})));
}

Task<> JobStream::commit_batch() {
    while (!may_commit()) co_await changed();
    start_commit();
}

Task<> JobStream::commit(Batch batch) {
    std::vector<Given> given;
    given.reserve(batch.parts.size());
    for (size_t i = 0; i < batch.parts.size(); ++i) {
        const JobPart& part = batch.parts[i];
        given.push_back(
            {part.job, batch.lines[i], static_cast<uint32_t>(part.recipients.size()), part.last});
    }
    const auto accepted = co_await context_.intake.accept(std::move(batch.parts), {});
    --in_flight_;
    first_part_in_flight_ = false;
    if (accepted) {
        report_commit(given);
    } else {
        commit_failed_ = true;
        stop(refused_answer(accepted.error()));
    }
    wake();
    // While the reader waits for input, this commit's end is what starts the next.
    if (in_flight_ == 0 && !stopped_) start_commit();
    co_await flush();
}

Task<> JobStream::store_keyed(ParsedJob parsed, std::string text, std::string digest,
                              uint64_t line) {
    const size_t recipients = parsed.recipients.size();
    const HttpAnswer answer =
        co_await store_once(std::move(parsed), std::move(text), std::move(digest), &context_);
    --keyed_in_flight_;
    fmt::format_to(std::back_inserter(out_), "{{\"line\":{},{}", line,
                   std::string_view(answer.body).substr(1));
    if (answer.status == 202) {
        ++jobs_;
        accepted_ += recipients;
    } else {
        ++rejected_;
        if (answer.status == 503) stop(answer);
    }
    wake();
    co_await flush();
}

Task<> JobStream::changed() {
    struct Waiting {
        JobStream& stream;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> handle) const { stream.waiter_ = handle; }
        void await_resume() const noexcept {}
    };
    co_await Waiting{*this};
}

void JobStream::wake() {
    if (waiter_) context_.reactor.post(std::exchange(waiter_, nullptr));
}

// ---- answering

void JobStream::report_commit(const std::vector<Given>& given) {
    uint64_t recipients = 0;
    for (const auto& [job, line, count, last] : given) {
        if (last) {
            ++jobs_;
            suppressed_ += job->suppressed;
        }
        if (count == 0) continue;
        recipients += count;
        JsonObject object(out_);
        object.text("job", storage::to_text(job->job.id))
            .number("line", line)
            .number("accepted", count);
        if (ids_ == Ids::yes) {
            object.key("ids");
            out_ += '[';
            // One batch at a time is in flight when ids are wanted, so these are the job's newest.
            for (uint32_t k = job->recipients - count; k < job->recipients; ++k) {
                append_json_string(out_, storage::to_text(storage::DeliveryId{job->job.id, k}));
                if (k + 1 < job->recipients) out_ += ',';
            }
            out_ += ']';
        }
        object.close();
        out_ += '\n';
    }
    accepted_ += recipients;
    count_accepted(context_, recipients);
}

void JobStream::reject_line(uint64_t line, std::string_view to,
                            const std::vector<ApiError>& errors) {
    ++rejected_;
    count_rejected(context_, "recipient");
    JsonObject object(out_);
    object.number("line", line).text_if("to", to);
    object.key("errors");
    out_ += '[';
    for (const ApiError& error : errors) {
        if (&error != &errors.front()) out_ += ',';
        append_error(out_, error);
    }
    out_ += ']';
    object.close();
    out_ += '\n';
}

/// The first reason counts; what follows is its echo.
void JobStream::stop(HttpAnswer answer) {
    stopped_ = true;
    if (!failure_) failure_ = std::move(answer);
}

/// Writes what there is to say. One coroutine writes; what others add meanwhile goes with it.
Task<> JobStream::flush() {
    if (writing_ || out_.empty()) co_return;
    // Before the first commit a failure is still an ordinary answer with its own status.
    if (!begun_ && accepted_ == 0 && out_.size() < StreamLimits::answer_bytes) co_return;
    writing_ = true;
    if (!begun_) {
        begun_ = true;
        co_await connection_.begin_stream(202, answer_type);
    }
    while (!out_.empty()) {
        const std::string text = std::exchange(out_, {});
        co_await connection_.stream(text);
    }
    writing_ = false;
    wake();
}

Task<> JobStream::finish() {
    if (commit_failed_ || connection_.broken()) {
        // Nobody is told of what was read and not stored: a repeat would double it. A job that has
        // begun still ends.
        batch_ = {};
        job_begun_ = job_ && job_->recipients > 0;
    }
    end_job();
    co_await commit_batch();
    co_await scope_.join();
    if (!begun_ && failure_ && out_.empty() && accepted_ == 0) {
        count_rejected(context_, "stream");
        co_return co_await connection_.answer(*std::move(failure_));
    }
    if (failure_) out_ += failure_->body;
    JsonObject total(out_);
    total.number("jobs", jobs_)
        .number("accepted", accepted_)
        .number("rejected", rejected_)
        .number("lines", line_);
    if (suppressed_ > 0) total.number("suppressed", suppressed_);
    total.flag("complete", !stopped_).close();
    out_ += '\n';
    if (!begun_) {
        begun_ = true;
        const int none_status = failure_ ? failure_->status : rejected_ > 0 ? 422 : 202;
        co_await connection_.begin_stream(accepted_ > 0 ? 202 : none_status, answer_type);
    }
    co_await flush();
    co_await connection_.end_stream();
}

Task<> stream_jobs(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    const auto ids = request.parameter("ids");
    for (const auto& [name, value] : request.query) {
        if (name == "ids") continue;
        co_return co_await connection.answer(to_answer(
            422, {"parameter.unknown", "there is no such parameter for a stream",
                  "?" + name.substr(0, 64), "known is: ids; dry_run goes with application/json"}));
    }
    if (!request.field("idempotency-key").empty()) {
        co_return co_await connection.answer(to_answer(
            400, {"idempotency.stream", "a stream has no key: its digest is known only at its end",
                  "Idempotency-Key",
                  "put \"idempotency_key\" into each job's line, beside its recipients"}));
    }
    JobStream stream(connection, context, request.tenant,
                     ids && *ids != "false" ? JobStream::Ids::yes : JobStream::Ids::no);
    co_await stream.run();
}

}  // namespace ingest

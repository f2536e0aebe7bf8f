#include <fmt/format.h>

#include <deque>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/load/client.h"
#include "bench/load/http_reply.h"
#include "bench/load/run.h"

namespace load {
namespace {

constexpr std::chrono::milliseconds turn_max{50};
constexpr size_t piece_octets = 64 * 1024;  // of one HTTP chunk
constexpr size_t unsent_octets_max = 256 * 1024;
constexpr size_t error_octets_max = 300;

/// A batch's "rejected" lists the recipients that are refused, the total's counts them.
bool refuses(const nlohmann::json& line) {
    auto rejected = line.find("rejected");
    if (rejected == line.end()) return false;
    return rejected->is_number() ? *rejected > 0 : !rejected->empty();
}

class NdjsonRun {
  public:
    NdjsonRun(const RunOptions& options, const Corpus& corpus, Progress& progress)
        : options_(options), corpus_(corpus), progress_(progress) {
        report_ = {.mode = "ndjson", .wanted = options.recipients};
    }

    Report run() {
        unsigned count = unsigned(
            std::min<uint64_t>(options_.clients, std::max<uint64_t>(options_.recipients, 1)));
        streams_.resize(count);
        for (unsigned i = 0; i < count; ++i) {
            streams_[i].next = options_.recipients * i / count;
            streams_[i].end = options_.recipients * (i + 1) / count;
            start(streams_[i]);
        }
        Stall stall(options_.patience);
        while (open_ > 0 && report_.error.empty()) {
            for (Stream& stream : streams_) fill(stream);
            poller_.turn(turn_max);
            progress_.show(report_);
            if (stall.over(report_)) report_.error = "no answer within the patience";
        }
        if (report_.error.empty()) report_.error = first_refusal_;
        report_.ended = Clock::now();
        progress_.finish(report_);
        return std::move(report_);
    }

  private:
    struct Piece {
        uint64_t recipients;  // sent on this stream up to and with this piece
        Clock::time_point sent_at;
    };
    struct Stream {
        std::unique_ptr<Client> client;
        HttpReply reply;
        uint64_t next = 0, end = 0;  // recipients still to be sent
        uint64_t sent = 0, answered = 0;
        std::deque<Piece> pieces;  // waiting for their answers
        bool ended = false;        // the request is all written
        bool done = false;
    };

    void start(Stream& stream) {
        ++open_;
        stream.client = std::make_unique<Client>(poller_, options_.server,
                                                 [this, &stream](Client&) { on_ready(stream); });
        stream.client->send(fmt::format(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
            "Transfer-Encoding: chunked\r\n\r\n",
            options_.api_path));
        if (!options_.job_per_recipient) send_chunk(stream, corpus_.job_line());
    }

    static void send_chunk(Stream& stream, const std::string& octets) {
        stream.client->send(fmt::format("{:x}\r\n{}\r\n", octets.size(), octets));
    }

    void fill(Stream& stream) {
        while (!stream.ended && !stream.client->lost &&
               stream.client->unsent() < unsent_octets_max) {
            std::string lines;
            while (stream.next < stream.end && lines.size() < piece_octets) {
                if (options_.job_per_recipient) lines += corpus_.job_line();
                corpus_.append_recipient_line(lines, stream.next++);
                ++stream.sent;
            }
            if (!lines.empty()) {
                send_chunk(stream, lines);
                stream.pieces.push_back({stream.sent, Clock::now()});
            }
            if (stream.next == stream.end) {
                stream.client->send("0\r\n\r\n");
                stream.ended = true;
            }
        }
    }

    void on_ready(Stream& stream) {
        if (stream.done) return;
        if (!stream.reply.take(stream.client->input)) {
            report_.error = "the answer is no HTTP response";
            return;
        }
        if (stream.reply.has_head()) read_lines(stream);
        if (stream.reply.complete()) return finish(stream);
        if (stream.client->lost) {
            report_.error = "the server closed a connection before its answer was complete";
            return;
        }
        fill(stream);
    }

    /// Lines of the answer: one for each committed batch ("job" and "accepted"), one for each line
    /// that is refused
    /// ("errors" or "rejected"), and the total, which has no "job".
    void read_lines(Stream& stream) {
        if (stream.reply.status() >= 300) return;
        std::string& body = stream.reply.body();
        size_t start = 0;
        for (size_t end; (end = body.find('\n', start)) != std::string::npos; start = end + 1) {
            auto text = std::string_view(body).substr(start, end - start);
            auto line = nlohmann::json::parse(text, nullptr, false);
            if (!line.is_object()) continue;
            bool refused = line.contains("errors") || refuses(line);
            if (refused && first_refusal_.empty())
                first_refusal_ = text.substr(0, error_octets_max);
            if (!line.contains("job")) continue;
            answer(stream, line.value("accepted", uint64_t{0}));
        }
        body.erase(0, start);
    }

    void answer(Stream& stream, uint64_t accepted) {
        report_.accepted += accepted;
        stream.answered += accepted;
        auto now = Clock::now();
        while (!stream.pieces.empty() && stream.pieces.front().recipients <= stream.answered) {
            report_.latency.record(now - stream.pieces.front().sent_at);
            stream.pieces.pop_front();
        }
    }

    void finish(Stream& stream) {
        stream.done = true;
        --open_;
        report_.rejected += stream.sent - std::min(stream.answered, stream.sent);
        if (stream.reply.status() >= 300) {
            report_.rejected += stream.end - stream.next;
            first_refusal_ = fmt::format("{} {}", stream.reply.status(),
                                         stream.reply.body().substr(0, error_octets_max));
        }
    }

    const RunOptions& options_;
    const Corpus& corpus_;
    Progress& progress_;
    Report report_;
    bench::Poller poller_;
    std::vector<Stream> streams_;
    unsigned open_ = 0;
    std::string first_refusal_;
};

}  // namespace

Report run_ndjson(const RunOptions& options, const Corpus& corpus, Progress& progress) {
    return NdjsonRun(options, corpus, progress).run();
}

}  // namespace load

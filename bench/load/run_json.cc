#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "bench/load/client.h"
#include "bench/load/http_reply.h"
#include "bench/load/run.h"

namespace load {
namespace {

constexpr std::chrono::milliseconds turn_max{50};
constexpr size_t error_octets_max = 300;

class JsonRun {
  public:
    JsonRun(const RunOptions& options, const Corpus& corpus, Progress& progress)
        : options_(options), corpus_(corpus), progress_(progress) {
        report_ = {.mode = "json", .wanted = options.recipients};
    }

    Report run() {
        uint64_t requests = (options_.recipients + options_.per_request - 1) / options_.per_request;
        slots_.resize(std::min<uint64_t>(options_.clients, requests));
        Stall stall(options_.patience);
        while (answered_ < options_.recipients && report_.error.empty()) {
            for (Slot& slot : slots_) keep_busy(slot);
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
    struct Slot {
        std::unique_ptr<Client> client;
        HttpReply reply;
        uint64_t first = 0;  // of the request in hand
        unsigned count = 0;  // its recipients; 0: none in hand
        bool sent = false;
        Clock::time_point sent_at;
        Clock::time_point not_before;
    };

    /// Gives an idle slot its next request and sends what is due. Runs outside the callbacks, so
    /// that it may replace a client.
    void keep_busy(Slot& slot) {
        if (slot.count == 0) {
            if (next_ >= options_.recipients) return;
            slot.first = next_;
            slot.count =
                unsigned(std::min<uint64_t>(options_.per_request, options_.recipients - next_));
            next_ += slot.count;
            slot.sent = false;
        }
        if (slot.sent || Clock::now() < slot.not_before) return;
        if (!slot.client || slot.client->lost)
            slot.client = std::make_unique<Client>(poller_, options_.server,
                                                   [this, &slot](Client&) { on_input(slot); });
        send(slot);
    }

    void send(Slot& slot) {
        auto body = corpus_.json_job(slot.first, slot.count);
        slot.reply = {};
        slot.sent = true;
        slot.client->send(
            fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        "Content-Length: {}\r\n\r\n{}",
                        options_.api_path, body.size(), body));
        slot.sent_at = Clock::now();
    }

    void on_input(Slot& slot) {
        if (!slot.reply.take(slot.client->input)) {
            report_.error = "the answer is no HTTP response";
            return;
        }
        if (slot.sent && slot.reply.complete()) {
            on_answer(slot);
            // The next request goes from here, so that a fast server is not kept waiting for the
            // loop to come around.
            if (!slot.client->lost) keep_busy(slot);
        } else if (slot.client->lost && slot.sent) {
            report_.error = "the server closed a connection without an answer";
        }
    }

    void on_answer(Slot& slot) {
        unsigned status = slot.reply.status();
        slot.sent = false;
        if (slot.reply.closes()) slot.client->lost = true;
        if (status == 429 || status == 503) {
            ++report_.throttled;
            auto wait = std::chrono::duration<double>(
                std::clamp(slot.reply.retry_after_seconds(), 0.05, 1.0));
            slot.not_before = Clock::now() + std::chrono::duration_cast<Clock::duration>(wait);
            return;
        }
        answered_ += slot.count;
        report_.latency.record(Clock::now() - slot.sent_at);
        if (status == 202) {
            auto answer = nlohmann::json::parse(slot.reply.body(), nullptr, false);
            uint64_t accepted = answer.is_object() ? answer.value("accepted", uint64_t{0}) : 0;
            report_.accepted += accepted;
            report_.rejected += slot.count - std::min<uint64_t>(accepted, slot.count);
        } else {
            report_.rejected += slot.count;
            if (first_refusal_.empty())
                first_refusal_ =
                    fmt::format("{} {}", status, slot.reply.body().substr(0, error_octets_max));
        }
        slot.count = 0;
    }

    const RunOptions& options_;
    const Corpus& corpus_;
    Progress& progress_;
    Report report_;
    bench::Poller poller_;
    std::vector<Slot> slots_;
    uint64_t next_ = 0;
    uint64_t answered_ = 0;
    std::string first_refusal_;
};

}  // namespace

Report run_json(const RunOptions& options, const Corpus& corpus, Progress& progress) {
    return JsonRun(options, corpus, progress).run();
}

}  // namespace load

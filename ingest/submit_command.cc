// sluice submit: streams a file of jobs and recipients to the daemon and says what became of them.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/http_client.h"
#include "ingest/line_splitter.h"
#include "ingest/terminal.h"

namespace ingest {

namespace {
using nlohmann::json;
using Steady = std::chrono::steady_clock;
constexpr size_t piece_bytes = 256 << 10;
constexpr uint64_t shown_refusals_max = 20;

/// A file or standard input, read piece by piece.
class Input {
  public:
    explicit Input(const std::string& path)
        : fd_(path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
        struct stat info{};
        if (fd_ >= 0 && fstat(fd_, &info) == 0 && S_ISREG(info.st_mode))
            size_ = static_cast<uint64_t>(info.st_size);
    }
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;
    ~Input() {
        if (fd_ > STDIN_FILENO) close(fd_);
    }
    bool opened() const { return fd_ >= 0; }
    int error() const { return error_; }  // of a read; 0: none
    /// What the server may have read of it; negative when the size is unknown.
    double share() const {
        return size_ > 0 ? static_cast<double>(taken_) / static_cast<double>(size_) : -1;
    }

    std::string next() {
        std::string piece(piece_bytes, '\0');
        ssize_t n = 0;
        do {
            n = read(fd_, piece.data(), piece.size());
        } while (n < 0 && errno == EINTR);
        if (n < 0) error_ = errno;
        piece.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
        taken_ += piece.size();
        return piece;
    }

  private:
    int fd_;
    int error_ = 0;
    uint64_t size_ = 0, taken_ = 0;
};

/// Adds up the answer's lines as they come.
struct Tally {
    uint64_t accepted = 0, rejected = 0;
    bool whole = false;  // the total has come
    json total = json::object();
    ProgressLine* progress = nullptr;

    void line(std::string_view text) {
        const json answer = json::parse(text, nullptr, false);
        if (!answer.is_object()) return;
        const auto number = [&](const char* name) {
            return answer.contains(name) && answer[name].is_number_unsigned()
                       ? answer[name].get<uint64_t>()
                       : 0;
        };
        if (answer.contains("lines") && answer.contains("accepted")) {  // the last line
            whole = answer.value("complete", true);
            total = answer;
            accepted = number("accepted");
            rejected = std::max(rejected, number("rejected"));
        } else {
            accepted += number("accepted");
            if (answer.contains("rejected") && answer["rejected"].is_array())
                rejected += answer["rejected"].size();
        }
        if (answer.contains("errors")) refused(answer);
    }

    void refused(const json& answer) {
        if (++rejected > shown_refusals_max) return;
        progress->clear();
        const std::string where =
            answer.contains("line") ? fmt::format("line {}: ", answer["line"].dump()) : "";
        fmt::print(stderr, "sluice submit: {}{}\n", where, readable_errors(0, answer.dump()));
        if (rejected == shown_refusals_max)
            fmt::print(stderr, "sluice submit: further refusals are only counted\n");
    }
};

int print_result(const Tally& tally, std::chrono::milliseconds took, Output output) {
    const double seconds = std::max(0.001, std::chrono::duration<double>(took).count());
    const auto rate = static_cast<uint64_t>(static_cast<double>(tally.accepted) / seconds);
    if (output == Output::json) {
        json summary = tally.total;
        summary["accepted"] = tally.accepted;
        summary["rejected"] = tally.rejected;
        summary["complete"] = tally.whole;
        summary["seconds"] = seconds;
        fmt::print("{}\n", summary.dump());
    } else {
        fmt::print("accepted {}, rejected {}, in {} ({}/s)\n", grouped(tally.accepted),
                   grouped(tally.rejected), short_duration(took), grouped(rate));
    }
    return tally.whole && tally.rejected == 0 ? 0 : 1;
}
}  // namespace

int submit(const SubmitOptions& options) {
    Input input(options.file);
    if (!input.opened()) {
        return failed("submit",
                      fmt::format("cannot read {}: {}", options.file, std::strerror(errno)));
    }
    const auto began = Steady::now();
    const auto elapsed = [&] {
        return std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - began);
    };
    ProgressLine progress;
    Tally tally{.progress = &progress};
    LineSplitter lines([&](std::string_view text) { tally.line(text); });
    const auto show = [&] {
        const double seconds = std::max(0.001, std::chrono::duration<double>(elapsed()).count());
        progress.show(
            input.share(),
            fmt::format(
                "{} accepted, {}/s, {} rejected", grouped(tally.accepted),
                grouped(static_cast<uint64_t>(static_cast<double>(tally.accepted) / seconds)),
                grouped(tally.rejected)));
    };
    const auto reply = call({.server = options.client.server,
                             .method = "POST",
                             .target = "/v1/messages",
                             .fields = {{"Content-Type", "application/x-ndjson"}},
                             .next_piece =
                                 [&] {
                                     show();
                                     return input.next();
                                 },
                             .on_body =
                                 [&](std::string_view piece) {
                                     lines.take(piece);
                                     show();
                                 }});
    progress.clear();
    if (reply && reply->ok() && input.error() == 0)
        return print_result(tally, elapsed(), options.client.output);
    if (input.error() != 0) {
        failed("submit", fmt::format("reading {} failed: {}; what came before it was sent",
                                     options.file, std::strerror(input.error())));
    } else if (!reply) {
        failed("submit", reply.error());
    } else if (reply->body.contains("\"lines\":")) {  // refused line by line
        lines.take(reply->body);
        return print_result(tally, elapsed(), options.client.output);
    } else {
        failed("submit", readable_errors(reply->status, reply->body));
    }
    if (tally.accepted > 0) {
        failed("submit",
               fmt::format("{} recipients were accepted before that and will be delivered",
                           grouped(tally.accepted)));
    }
    return 1;
}

}  // namespace ingest

// sluice top: what the daemon does, drawn anew each second.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/live_client.h"
#include "ingest/top_screen.h"

namespace ingest {

using nlohmann::ordered_json;

namespace {

constexpr size_t history_max = 60;
constexpr unsigned jobs_every = 3;  // snapshots
constexpr std::string_view jobs_target = "/v1/jobs?state=open&recipients_min=2&limit=5";

/// The terminal as it was, and the way back to it: at the end, and by a signal at any time.
class FullScreen {
  public:
    FullScreen() {
        tcgetattr(STDIN_FILENO, &before_);
        termios keys = before_;
        keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &keys);
        say("\x1b[?1049h\x1b[?25l\x1b[2J");
        for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, leave_by);
    }
    ~FullScreen() { leave(); }
    FullScreen(const FullScreen&) = delete;
    FullScreen& operator=(const FullScreen&) = delete;

    static void draw(const std::vector<std::string>& lines) {
        std::string out = "\x1b[?2026h\x1b[H";  // all at once, where a terminal knows how
        for (const std::string& line : lines)
            out += line + "\x1b[K" + (&line == &lines.back() ? "" : "\r\n");
        out += "\x1b[J\x1b[?2026l";
        say(out);
    }
    static bool wants_to_leave() {
        pollfd keys{STDIN_FILENO, POLLIN, 0};
        char key = 0;
        while (poll(&keys, 1, 0) > 0 && read(STDIN_FILENO, &key, 1) == 1)
            if (key == 'q' || key == 'Q') return true;
        return false;
    }
    static void leave() {
        say("\x1b[?25h\x1b[?1049l");
        tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }

  private:
    static void say(std::string_view text) {
        while (!text.empty()) {
            const ssize_t n = write(STDOUT_FILENO, text.data(), text.size());
            if (n <= 0) return;
            text.remove_prefix(static_cast<size_t>(n));
        }
    }
    static void leave_by(int) {
        leave();
        _exit(0);
    }
    static inline termios before_{};
};

Screen screen_size() {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return {};
    return {size.ws_col, size.ws_row};
}

class Top {
  public:
    explicit Top(const TopOptions& options) : options_(options) {}

    void take(std::string_view event, std::string_view text) {
        const auto snapshot = ordered_json::parse(text, nullptr, false);
        if (!snapshot.is_object()) return;
        if (!event.empty()) return remember(event, snapshot);
        if (options_.client.output == Output::json) {
            fmt::print("{}\n", text);
            std::fflush(stdout);
            return;
        }
        delivered_.push_back(number_of(member_of(snapshot, "rates"), "delivered"));
        if (delivered_.size() > history_max) delivered_.pop_front();
        if (seen_++ % jobs_every == 0) {
            // Without the list the rest is still worth looking at.
            if (auto jobs = ask(options_.client.server, std::string(jobs_target)))
                jobs_ = std::move(*jobs);
        }
        if (options_.how == TopOptions::How::once) {
            for (const std::string& line : top_lines(snapshot, jobs_, delivered_, screen_size()))
                fmt::print("{}\n", line);
            return;
        }
        FullScreen::draw(top_lines(snapshot, jobs_, delivered_, screen_size()));
        if (!FullScreen::wants_to_leave()) return;
        FullScreen::leave();
        std::_Exit(0);
    }

  private:
    /// The curve begins with what was before.
    void remember(std::string_view event, const ordered_json& past) {
        const ordered_json& rates = member_of(past, "delivered");
        if (event != "history" || !rates.is_array()) return;
        for (const ordered_json& rate : rates) {
            delivered_.push_back(rate.is_number() ? rate.get<double>() : 0);
            if (delivered_.size() > history_max) delivered_.pop_front();
        }
    }

    const TopOptions& options_;
    ordered_json jobs_ = ordered_json::object();
    std::deque<double> delivered_;
    unsigned seen_ = 0;
};

}  // namespace

int top(const TopOptions& options) {
    const bool once = options.how == TopOptions::How::once;
    const bool drawn = !once && options.client.output == Output::text;
    if (drawn && isatty(STDOUT_FILENO) != 1)
        return failed("top", "this is no terminal; use --once or --json");
    Top screen(options);
    const auto take = [&](std::string_view event, std::string_view text) {
        screen.take(event, text);
    };
    std::expected<void, std::string> ended;
    {
        std::optional<FullScreen> full;
        if (drawn) full.emplace();
        ended = follow_live(options.client.server, once ? 1 : 0, take);
    }
    if (!ended) return failed("top", ended.error());
    if (once) return 0;
    return failed("top", "the daemon has ended the stream; is it stopping?");
}

}  // namespace ingest

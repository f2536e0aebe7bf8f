#include "ingest/top_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "ingest/live_client.h"
#include "ingest/terminal.h"

namespace ingest {

using nlohmann::ordered_json;

namespace {

constexpr size_t providers_shown = 6, jobs_shown = 5;

/// Lines are cut before they are coloured, so that no escape sequence is cut in two.
class Lines {
  public:
    explicit Lines(Screen screen) : screen_(screen) {}

    bool room(size_t lines = 1) const { return lines_.size() + lines <= screen_.rows; }
    void add(std::string_view text, Colour colour = Colour::plain) {
        if (!room()) return;
        std::string line = fitted(text, screen_.columns);
        line.erase(line.find_last_not_of(' ') + 1);
        lines_.push_back(colour == Colour::plain ? line : coloured(line, colour));
    }
    std::vector<std::string> take() { return std::move(lines_); }

  private:
    Screen screen_;
    std::vector<std::string> lines_;
};

void head(Lines& lines, const ordered_json& s) {
    const std::string state = text_of(s, "state"), refusal = text_of(s, "refusal");
    const std::string time = text_of(s, "time");
    const Colour colour = state == "accepting" ? Colour::good : Colour::warning;
    lines.add(fmt::format("sluice {}  {}  {}{}  {} UTC", text_of(s, "version"), text_of(s, "node"),
                          state, refusal.empty() ? "" : ": " + refusal,
                          time.size() > 19 ? time.substr(11, 8) : time),
              colour);
}

void shards(Lines& lines, const ordered_json& s) {
    std::vector<double> busy;
    for (const ordered_json& one : member_of(s, "shards_busy"))
        if (one.is_number()) busy.push_back(one.get<double>());
    if (busy.empty()) return;
    const auto [least, most] = std::ranges::minmax(busy);
    const uint64_t spread = count_of(s, "sites_spread");
    lines.add(fmt::format("shards {}, busy {:.0f}% to {:.0f}%{}", busy.size(), least * 100,
                          most * 100,
                          spread == 0 ? ""
                                      : fmt::format("   all send to {} site{}: one was too busy",
                                                    grouped(spread), spread == 1 ? "" : "s")));
}

void numbers(Lines& lines, const ordered_json& s, const std::deque<double>& delivered,
             size_t columns) {
    const ordered_json &rates = member_of(s, "rates"), &totals = member_of(s, "totals");
    const ordered_json &queue = member_of(s, "queue"), &latency = member_of(s, "latency");
    const auto both = [&](std::string_view name, std::string_view total) {
        return fmt::format("{} {}/s ({})", name, short_rate(number_of(rates, name)),
                           grouped(count_of(totals, total)));
    };
    lines.add(fmt::format("{}   {}", both("delivered", "delivered"), both("accepted", "accepted")));
    lines.add(fmt::format("{}   {}   {}", both("deferred", "deferrals"), both("bounced", "bounced"),
                          both("expired", "expired")));
    lines.add(fmt::format("open {}: {} scheduled, {} ready, {} sending; oldest due {} ago",
                          grouped(count_of(totals, "open")), grouped(count_of(queue, "scheduled")),
                          grouped(count_of(queue, "ready")), grouped(count_of(queue, "sending")),
                          short_seconds(number_of(queue, "oldest_seconds"))));
    const ordered_json& connections = member_of(s, "connections");
    lines.add(fmt::format(
        "latency 50% {}  90% {}  99% {}   connections {} busy, {} idle",
        short_seconds(number_of(latency, "p50")), short_seconds(number_of(latency, "p90")),
        short_seconds(number_of(latency, "p99")), grouped(count_of(connections, "busy")),
        grouped(count_of(connections, "idle"))));
    shards(lines, s);
    const size_t width = std::min<size_t>(60, columns > 20 ? columns - 20 : columns);
    lines.add("delivered/s, a minute  " + sparkline(delivered, width), Colour::good);
}

void providers(Lines& lines, const ordered_json& s) {
    const ordered_json& all = member_of(s, "providers");
    if (!all.is_array() || all.empty() || !lines.room(3)) return;
    std::vector<const ordered_json*> busiest;
    for (const ordered_json& one : all) busiest.push_back(&one);
    std::ranges::stable_sort(busiest, std::greater{}, [](const ordered_json* one) {
        return number_of(*one, "delivered") + number_of(*one, "busy");
    });
    lines.add("");
    lines.add(fitted("PROVIDER", 24) + "  DELIVERED/S  DEFERRED/S  BOUNCED/S    BUSY    IDLE",
              Colour::faint);
    for (size_t i = 0; i < std::min(busiest.size(), providers_shown); ++i) {
        const ordered_json& one = *busiest[i];
        lines.add(fitted(text_of(one, "provider"), 24) +
                  fitted_right(short_rate(number_of(one, "delivered")), 13) +
                  fitted_right(short_rate(number_of(one, "deferred")), 12) +
                  fitted_right(short_rate(number_of(one, "bounced")), 11) +
                  fitted_right(grouped(count_of(one, "busy")), 8) +
                  fitted_right(grouped(count_of(one, "idle")), 8));
    }
}

void open_jobs(Lines& lines, const ordered_json& jobs) {
    const ordered_json& all = member_of(jobs, "jobs");
    if (!all.is_array() || all.empty() || !lines.room(3)) return;
    lines.add("");
    lines.add(fitted("JOB", 15) + fitted("CAMPAIGN", 20) + fitted_right("RECIPIENTS", 11) +
                  "  PROGRESS                DONE AT",
              Colour::faint);
    for (size_t i = 0; i < std::min(all.size(), jobs_shown); ++i) {
        const ordered_json& job = all[i];
        const double accepted = std::max(number_of(job, "accepted"), 1.0);
        const double share = (accepted - number_of(job, "open")) / accepted;
        const std::string finish = text_of(job, "estimated_finish");
        lines.add(fitted(text_of(job, "job"), 15) + fitted(text_of(job, "campaign"), 20) +
                  fitted_right(grouped(count_of(job, "accepted")), 11) + "  " + bar(share, 16) +
                  fitted_right(fmt::format("{:.0f}%", std::floor(share * 100)), 5) + "   " +
                  (finish.size() > 19 ? finish.substr(11, 8) : "-"));
    }
}

Colour colour_of(std::string_view type) {
    if (type == "delivered") return Colour::good;
    if (type == "deferred") return Colour::warning;
    return type == "accepted" ? Colour::faint : Colour::bad;
}

void events(Lines& lines, const ordered_json& s) {
    const ordered_json& all = member_of(s, "events");
    if (!all.is_array() || all.empty() || !lines.room(3)) return;
    lines.add("");
    lines.add("RECENT", Colour::faint);
    for (size_t i = all.size(); i-- > 0 && lines.room();) {
        const ordered_json& event = all[i];
        const std::string time = text_of(event, "time"), type = text_of(event, "type");
        std::string why;
        for (const char* name : {"code", "enhanced", "reply"}) {
            if (event.contains(name)) why += (why.empty() ? "" : " ") + text_of(event, name);
        }
        lines.add(fmt::format("{} {} {} {}", time.size() > 19 ? time.substr(11, 8) : time,
                              fitted(type, 9), fitted(text_of(event, "to"), 28), why),
                  colour_of(type));
    }
}

}  // namespace

std::string sparkline(const std::deque<double>& values, size_t columns) {
    static constexpr std::array<std::string_view, 8> blocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const size_t count = std::min(values.size(), columns);
    const auto begin = values.end() - static_cast<ptrdiff_t>(count);
    const double most = std::max(1e-9, count > 0 ? *std::max_element(begin, values.end()) : 0.0);
    std::string out;
    for (auto value = begin; value != values.end(); ++value) {
        const double share = std::clamp(*value / most, 0.0, 1.0);
        out += blocks[static_cast<size_t>(share * (blocks.size() - 1) + 0.5)];
    }
    return out;
}

std::vector<std::string> top_lines(const ordered_json& snapshot, const ordered_json& jobs,
                                   const std::deque<double>& delivered, Screen screen) {
    Lines lines(screen);
    head(lines, snapshot);
    numbers(lines, snapshot, delivered, screen.columns);
    providers(lines, snapshot);
    open_jobs(lines, jobs);
    events(lines, snapshot);
    return lines.take();
}

}  // namespace ingest

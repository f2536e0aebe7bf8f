// What a site does for its spread over shards (spread.h), and what it makes of complaints, its own
// and those that other shards have heard.
#include <fmt/format.h>

#include <algorithm>

#include "engine/delivery/shares.h"
#include "engine/delivery/site.h"
#include "metrics/log.h"

namespace engine {

namespace {
constexpr auto helper_hold = std::chrono::seconds(1);
}

bool Site::could_use_more_cores() const {
    const bool learned = std::ranges::any_of(ways_, [&](const Way& way) {
        return way.path->tempo.learned() != Tempo::Learned{} || way.failures_in_a_row > 0 ||
               way.path->rests(parts_.reactor.now());
    });
    if (draining_ || learned || policy_.limits.connections == 1) return false;
    const auto held = binding();
    return !held || held->limit.ends_with("connections");
}

bool Site::stays_on_its_shard() const {
    return std::ranges::any_of(ways_,
                               [](const Way& way) { return way.path->from->warmup.has_value(); });
}

void Site::share_paths() {
    for (Way& way : ways_) {
        way.claims.share_path(parts_.shares.path({budget_->site(), way.path->from->name}));
    }
    work_.notify_all();  // idle connections enter its list
}

void Site::own_paths() {
    work_.notify_all();
    timer_.notify_all();
    fill();
}

/// Some hosts count connections only when mail comes ("exceeded the maximum number of connections",
/// to MAIL).
bool Site::is_about_number(const Verdict& complaint, const Path& path) {
    return complaint.reply.text.contains("connections") && path.open + path.open_elsewhere > 1;
}

void Site::slow_down(Path& path, const PathWord& word) {
    const Instant now = parts_.reactor.now();
    const size_t open = path.open + path.open_elsewhere;
    const bool of_number = is_about_number(word.verdict, path);
    if (of_number) {
        if (!path.tempo.connection_refused(open - 1, now)) return;
    } else if (!path.tempo.refused(word.began, now)) {
        return;
    }
    if (budget_->is_of_another_shard()) return;  // the owner says it
    const auto hold = std::chrono::ceil<std::chrono::milliseconds>(path.tempo.hold_until() - now);
    metrics::log::info("site.throttled", {{"site", policy_.site},
                                          {"source", path.from->name},
                                          {"mx", word.mx},
                                          {"code", word.verdict.reply.code},
                                          {"reply", word.verdict.reply.text},
                                          {"hold_ms", std::max<int64_t>(hold.count(), 0)},
                                          {"rate_now", fmt::format("{:.2f}/s", path.tempo.rate())},
                                          {"connections_now", of_number ? open - 1 : open}});
}

void Site::refuse_connection(Path& path, const PathWord& word) {
    const size_t open = path.open + path.open_elsewhere;
    if (open == 0 || !path.tempo.connection_refused(open, parts_.reactor.now())) return;
    metrics::log::info("site.connections_learned", {{"site", policy_.site},
                                                    {"source", path.from->name},
                                                    {"mx", word.mx},
                                                    {"reply", word.verdict.reply.text},
                                                    {"connections", open}});
}

void Site::hear(const PathWord& word) {
    Path* path = budget_->find(word.source);
    if (!path) return;
    if (word.taken > 0) path->tempo.taken(parts_.reactor.now(), word.taken);
    switch (word.of) {
        case PathWord::Of::complaint:
            return slow_down(*path, word);
        case PathWord::Of::connections:
            return refuse_connection(*path, word);
        case PathWord::Of::rule:
            return automate(word.verdict, word.mx, *path);
        case PathWord::Of::nothing:
        case PathWord::Of::opening:
            return;
    }
}

/// On a shard that only helps: the owner shall know, which ends that; and it tries what waits.
void Site::not_opened_here(const Attempt& attempt, Way& way, bool refused) {
    way.hold_until = parts_.reactor.now() + helper_hold;
    budget_->tell(*way.path, {.of = refused ? PathWord::Of::connections : PathWord::Of::opening,
                              .verdict = attempt.verdict,
                              .mx = attempt.mx});
    send_home_all();
}

}  // namespace engine

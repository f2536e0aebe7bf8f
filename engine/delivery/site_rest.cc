// When a site leaves a source in peace: rules that count replies, and the days of a new source.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

#include "engine/delivery/orders.h"
#include "engine/delivery/site.h"
#include "metrics/log.h"

namespace engine {

namespace {

Instant instant_of(WallTime at, const Reactor& reactor) {
    return reactor.now() + std::max(at - reactor.wall(), WallTime::duration{});
}

std::string line_of(const Reply& reply) {
    std::string line = std::to_string(reply.code);
    if (!reply.enhanced.empty()) line.append(" ").append(reply.enhanced);
    return line.append(" ").append(reply.text);
}

std::string why_it_rests(const Path& path, const Reactor& reactor) {
    const Instant now = reactor.now();
    if (!path.rests(now)) return fmt::format("source {} is suspended", path.from->name);
    const WallTime until =
        reactor.wall() + std::chrono::ceil<std::chrono::milliseconds>(path.rest_until - now);
    return fmt::format("{} until {:%Y-%m-%dT%H:%M:%SZ}", path.last_rest->reason,
                       std::chrono::time_point_cast<std::chrono::seconds>(until));
}

}  // namespace

/// A message begins: a new source counts it.
void Site::begin_message(Way& way) {
    Path& path = *way.path;
    path.begin_message(way.limits, parts_.reactor.now());
    ++begun_;
    if (!path.from->warmup) return;
    path.warmup.add(parts_.reactor.wall());
    rest_if_full(path);
}

void Site::rest_if_full(Path& path) {
    if (!path.from->warmup) return;
    const auto until = path.warmup.full_until(*path.from->warmup, parts_.reactor.wall());
    if (!until) return;
    path.rest("warmup", instant_of(*until, parts_.reactor),
              fmt::format("source {} is new: {} messages to this site today are its part",
                          path.from->name, path.warmup.sent().messages),
              {});
}

/// What the rules of [[automation]] make of a reply that took no mail.
void Site::automate(const Verdict& verdict, const std::string& mx, Path& path) {
    const auto& rules = parts_.settings->automation;
    if (rules.empty() || verdict.kind == Verdict::Kind::delivered || verdict.reply.code == 0)
        return;
    const BounceClass klass = parts_.settings->bounce_rules->classify(verdict, mx);
    const Instant now = parts_.reactor.now();
    const std::string reply = line_of(verdict.reply);
    if (budget_->is_of_another_shard()) {
        Automation any;  // the owner counts
        any.heard(rules, policy_.provider, klass, reply, now);
        if (any.remembers(now))
            budget_->tell(path, {.of = PathWord::Of::rule, .verdict = verdict, .mx = mx});
        return;
    }
    if (!path.automation) path.automation = std::make_unique<Automation>();
    const AutomationRule* rule = path.automation->heard(rules, policy_.provider, klass, reply, now);
    if (!rule || path.rests(now)) return;
    const Instant until = now + rule->duration;
    const std::string reason = fmt::format("rule {} after: {}", rule->name, reply.substr(0, 200));
    switch (rule->action) {
        case AutomationRule::Action::slow:
            path.tempo.slow(now, until);
            break;
        case AutomationRule::Action::rest_source:
            path.rest("rest", until, reason, rule->origin);
            break;
        case AutomationRule::Action::suspend:
            for (SourceId id = 0; id < parts_.settings->sources.size(); ++id)
                budget_->path(id, now).rest("rest", until, reason, rule->origin);
            break;
    }
    budget_->tell(path, {.of = PathWord::Of::rule});
    metrics::log::warn("automation.fired",
                       {{"rule", rule->name},
                        {"action", to_string(rule->action)},
                        {"site", policy_.site},
                        {"source", path.from->name},
                        {"reply", reply},
                        {"for", std::chrono::duration_cast<std::chrono::seconds>(rule->duration)}});
}

/// By a rule, by its warm-up, or by an operator's suspension.
bool Site::rests(const Path& path) const {
    return path.rests(parts_.reactor.now()) ||
           parts_.orders.suspensions().source_held(path.from->name);
}

/// Nothing begins over it for now. What waits stays here, unless all sources rest: a quota of the
/// hour is to be used when the next hour begins.
bool Site::pauses(const Way& way) const {
    return rests(*way.path) || way.claims.full(parts_.reactor.now());
}

bool Site::all_rest() const {
    return std::ranges::all_of(ways_, [&](const Way& way) { return rests(*way.path); });
}

/// Nobody of the pool may send: what waits goes home with the reason, so that it expires in time
/// and takes no credit from mail that may go.
void Site::put_off_while_all_rest() {
    const auto first =
        std::ranges::min_element(ways_, {}, [](const Way& way) { return way.path->rest_until; });
    const Path& path = *first->path;
    Attempt attempt;
    attempt.started = parts_.reactor.wall();
    attempt.source = path.from->name;
    attempt.site = policy_.site;
    attempt.provider = policy_.provider;
    attempt.verdict.stage = Stage::connect;
    attempt.verdict.failure = Failure::unreachable;
    attempt.verdict.reply.text = "nothing was tried: " + why_it_rests(path, parts_.reactor);
    for (Loan& loan : ready_.take_all()) loan.settle(attempt);
    give_back_admissions();
}

}  // namespace engine

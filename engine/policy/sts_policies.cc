#include "engine/policy/sts_policies.h"

#include <fmt/format.h>

#include <algorithm>

#include "metrics/catalog.h"
#include "metrics/log.h"
#include "storage/store.h"

namespace engine {

namespace {

constexpr std::string_view note_kind = "sts";
constexpr size_t policy_octets_max = 64 << 10;   // RFC 8461 3.3
constexpr auto soon = std::chrono::seconds(10);  // when what is known was not waited for

bool is_plain_text(std::string_view content_type) {
    constexpr std::string_view wanted = "text/plain";
    const auto same = [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b;
    };
    if (!std::ranges::equal(content_type.substr(0, wanted.size()), wanted, same)) return false;
    const std::string_view rest = content_type.substr(wanted.size());
    return rest.empty() || rest.front() == ';' || rest.front() == ' ';
}

}  // namespace

/// A look at a domain's TXT record, and what follows from it. Those who wait hold on to it.
struct StsPolicies::Look {
    explicit Look(Reactor& reactor) : done(reactor) {}
    Event done;
};

StsPolicies::StsPolicies(StsParts parts)
    : parts_(std::move(parts)),
      fetcher_(parts_.reactor, parts_.thread_name, parts_.ca_file),
      loaded_(parts_.reactor) {}

void StsPolicies::start(std::function<bool(const std::string&)> mine) {
    scope_.spawn(load(std::move(mine)));
}

Task<> StsPolicies::load(std::function<bool(const std::string&)> mine) {
    storage::Result<std::vector<storage::Note>> notes;
    co_await parts_.worker.run(
        [&, &store = parts_.store] { notes = store.notes(note_kind, "", policies_max); });
    if (!notes) {
        metrics::log::warn("sts.not_loaded", {{"error", notes.error().what}});
        notes.emplace();
    }
    const WallTime now = parts_.reactor.wall();
    std::vector<storage::Note> over;
    for (storage::Note& note : *notes) {
        if (!mine(note.name)) continue;
        auto kept = decode_sts(note.value);
        if (!kept || !kept->live(now)) {
            over.push_back({std::move(note.name), {}});
            continue;
        }
        auto policy = std::make_shared<const StsPolicy>(kept->policy);
        kept_.insert_or_assign(std::move(note.name), Entry{std::move(*kept), std::move(policy)});
    }
    loaded_.set();
    if (over.empty()) co_return;
    co_await parts_.worker.run([&, &store = parts_.store] {
        // What is left behind is dropped at the next start.
        if (auto dropped = store.put_notes(note_kind, over); !dropped)
            metrics::log::warn("sts.not_dropped", {{"error", dropped.error().what}});
    });
}

Task<StsAnswer> StsPolicies::policy_of(std::string domain) {
    co_await loaded_.wait();
    std::shared_ptr<Look> look;
    if (const auto out = looks_.find(domain); out != looks_.end()) {
        look = out->second;
    } else if (!stopping_ && looks_.size() < looks_max) {
        look = std::make_shared<Look>(parts_.reactor);
        looks_.emplace(domain, look);
        scope_.spawn(this->look(domain, look));
    }
    const auto live = [&]() -> const Entry* {
        const auto found = kept_.find(domain);
        const bool lives = found != kept_.end() && found->second.kept.live(parts_.reactor.wall());
        return lives ? &found->second : nullptr;
    };
    bool known = live() != nullptr;
    if (!known && look) known = co_await look->done.wait_until(parts_.reactor.now() + first_wait);
    StsAnswer answer{.ask_again = parts_.reactor.now() + (known ? Instant::duration(look_again)
                                                                : Instant::duration(soon))};
    if (const Entry* entry = live()) {
        answer.policy = entry->policy;
    } else if (const auto missed = misses_.find(domain);
               missed != misses_.end() && parts_.reactor.wall() < missed->second.until) {
        answer.miss = missed->second.result;
    }
    co_return answer;
}

Task<> StsPolicies::look(std::string domain, std::shared_ptr<Look> look) {
    const Texts texts = co_await parts_.resolver.texts("_mta-sts." + domain);
    const auto id = texts ? sts_record_id(*texts) : std::nullopt;
    const auto kept = kept_.find(domain);
    const auto missed = misses_.find(domain);
    const bool wanted =
        wants_fetch(id, kept == kept_.end() ? nullptr : &kept->second.kept,
                    missed == misses_.end() ? nullptr : &missed->second, parts_.reactor.wall());
    if (wanted && !stopping_) co_await fetch(domain, *id);
    looks_.erase(domain);
    look->done.set();
}

Task<> StsPolicies::fetch(std::string domain, std::string id) {
    auto policy = co_await fetched(domain);
    if (stopping_) co_return;
    const std::string_view result = policy ? "ok" : policy.error().result;
    parts_.metrics.counter(metrics::catalog::sts_fetches, {result}).add();
    const WallTime now = parts_.reactor.wall();
    if (!policy) {
        metrics::log::warn(
            "sts.no_policy",
            {{"domain", domain}, {"result", policy.error().result}, {"why", policy.error().why}});
        missed(domain, {std::move(id), now + miss_hold, std::string(result)});
        co_return;
    }
    misses_.erase(domain);
    metrics::log::info("sts.policy", {{"domain", domain},
                                      {"id", id},
                                      {"mode", to_string(policy->mode)},
                                      {"max_age", policy->max_age}});
    co_await keep(std::move(domain), {std::move(id), std::move(*policy), now});
}

/// The policy as its host gives it now.
Task<std::expected<StsPolicy, StsPolicies::Unfetched>> StsPolicies::fetched(std::string domain) {
    constexpr std::string_view fetch_error = "sts-policy-fetch-error";
    const auto none = [](std::string_view result, std::string why) {
        return std::unexpected(Unfetched{result, std::move(why)});
    };
    HttpsRequest request{.host = "mta-sts." + domain,
                         .port = parts_.port,
                         .path = "/.well-known/mta-sts.txt",
                         .body_bytes_max = policy_octets_max,
                         .timeout = fetch_timeout};
    // Our own look-up, so that a policy host cannot lead into a private network any more than a
    // mail host can.
    auto endpoints = co_await parts_.resolver.addresses(request.host, request.port);
    if (!endpoints) co_return none(fetch_error, std::move(endpoints.error().reason));
    for (const Endpoint& endpoint : *endpoints) request.addresses.push_back(endpoint.address);
    const HttpsAnswer answer = co_await fetcher_.fetch(std::move(request));
    if (answer.kind == HttpsAnswer::Kind::untrusted)
        co_return none("sts-webpki-invalid", answer.error);
    if (answer.kind == HttpsAnswer::Kind::failed) co_return none(fetch_error, answer.error);
    if (answer.status != 200)
        co_return none(fetch_error, fmt::format("the policy host answers {}", answer.status));
    if (!is_plain_text(answer.content_type))
        co_return none("sts-policy-invalid", "its type is not text/plain");
    auto policy = parse_sts_policy(answer.body);
    if (!policy) co_return none("sts-policy-invalid", std::move(policy.error()));
    co_return std::move(*policy);
}

Task<> StsPolicies::keep(std::string domain, StsKept kept) {
    if (!kept_.contains(domain) && !make_room()) {
        metrics::log::warn("sts.not_kept", {{"domain", domain}, {"limit", policies_max}});
        co_return;
    }
    const std::vector<storage::Note> notes = {{domain, encode(kept)}};
    auto policy = std::make_shared<const StsPolicy>(kept.policy);
    kept_.insert_or_assign(std::move(domain), Entry{std::move(kept), std::move(policy)});
    co_await parts_.worker.run([&, &store = parts_.store] {
        if (auto done = store.put_notes(note_kind, notes); !done)
            metrics::log::warn("sts.not_stored", {{"error", done.error().what}});
    });
}

bool StsPolicies::make_room() {
    if (kept_.size() < policies_max) return true;
    const WallTime now = parts_.reactor.wall();
    std::erase_if(kept_, [&](const auto& entry) { return !entry.second.kept.live(now); });
    return kept_.size() < policies_max;
}

void StsPolicies::missed(const std::string& domain, StsMiss miss) {
    if (misses_.size() >= misses_max) misses_.clear();
    misses_.insert_or_assign(domain, std::move(miss));
}

Task<> StsPolicies::stop() {
    stopping_ = true;
    fetcher_.stop();
    co_await scope_.join();
}

}  // namespace engine

#include "engine/delivery/shares.h"

#include <fmt/format.h>

#include <functional>
#include <utility>

#include "engine/reactor/yield.h"

namespace engine {

namespace {

constexpr std::string_view kind = "quota";

/// A blank is in no name.
std::string note_of(const TotalKey& key) {
    return fmt::format("{} {}", to_string(key.of), key.name);
}

}  // namespace

std::map<TotalKey, TotalLimits> totals_of(const Settings& settings) {
    std::map<TotalKey, TotalLimits> totals;
    const auto add = [&](TotalOf of, const std::string& name, const TotalLimits& limits) {
        if (limits.any()) totals.emplace(TotalKey{of, name}, limits);
    };
    for (const Provider& provider : settings.providers)
        add(TotalOf::provider, provider.name, provider.total);
    for (const SourceSettings& source : settings.sources)
        add(TotalOf::source, source.name, source.total);
    for (const Pool& pool : settings.pools) add(TotalOf::pool, pool.name, pool.total);
    for (const auto& [name, tenant] : settings.tenants) add(TotalOf::tenant, name, tenant.total);
    return totals;
}

void Shares::Keeper::use(const TotalLimits& limits, ShardId shards) {
    const auto put = [](auto& part, bool is_set, const auto& value, auto... more) {
        if (part)
            part->use(value);
        else if (is_set)
            part.emplace(value, more...);
    };
    put(units, limits.connections > 0, limits.connections, size_t{shards});
    put(messages, limits.limits_messages(),
        SlotKeeper::Rules{limits.rate_per_second, limits.per_hour, limits.per_day});
    put(connections, limits.connection_rate_per_second > 0,
        SlotKeeper::Rules{.rate_per_second = limits.connection_rate_per_second});
}

Shares::Shares(SharesParts parts, const Settings& settings)
    : parts_(std::move(parts)), notes_(parts_.worker, parts_.store, kind) {
    use(settings);
}

Shares::~Shares() {
    stopped_ = true;
}

void Shares::use(const Settings& settings) {
    limits_ = totals_of(settings);
    if (parts_.node.any()) limits_.emplace(TotalKey{TotalOf::node, {}}, parts_.node);
    for (const auto& [key, share] : shares_) share->use(limits_of(key));
    for (auto& [key, keeper] : keepers_) keeper.use(limits_of(key), parts_.post.count());
}

TotalLimits Shares::limits_of(const TotalKey& key) const {
    const auto found = limits_.find(key);
    return found == limits_.end() ? TotalLimits{} : found->second;
}

bool Shares::limits_messages_of(const std::string& tenant) const {
    return !limits_.empty() && limits_of({TotalOf::tenant, tenant}).limits_messages();
}

Share& Shares::of(TotalOf of, const std::string& name) {
    const TotalKey key{of, name};
    std::unique_ptr<Share>& share = shares_[key];
    if (!share) {
        share = std::make_unique<Share>(key, limits_of(key),
                                        [this](Share* changed) { soon(*changed); });
    }
    return *share;
}

ShardId Shares::keeper_of(const TotalKey& key) const {
    return static_cast<ShardId>(std::hash<std::string>{}(note_of(key)) % parts_.post.count());
}

Shares::Keeper& Shares::keeper(const TotalKey& key) {
    const auto found = keepers_.find(key);
    if (found != keepers_.end()) return found->second;
    Keeper& made = keepers_[key];
    made.use(limits_of(key), parts_.post.count());
    if (const auto kept = kept_.find(note_of(key)); made.messages && kept != kept_.end()) {
        made.messages->load(kept->second);
        made.on_disk = kept->second;
    }
    return made;
}

void Shares::soon(Share& share) {
    news_.push_back(&share);
    if (stopped_ || std::exchange(telling_, true)) return;
    scope_.spawn(tell_later());
}

Task<> Shares::tell_later() {
    co_await yield(parts_.reactor);  // what changes in the same turn is told together
    telling_ = false;
    for (Share* share : std::exchange(news_, {})) {
        ShareTold told = share->tell(parts_.reactor.now());
        if (told.any()) send(share->key(), told);
    }
}

void Shares::send(const TotalKey& key, ShareTold told) {
    const ShardId to = keeper_of(key);
    parts_.post.send(to, [&keeper = parts_.peer(to), key, from = parts_.post.self(), told] {
        keeper.hear(key, from, told);
    });
}

void Shares::hear(const TotalKey& key, ShardId from, const ShareTold& told) {
    if (stopped_) return;
    if (!loaded_) {
        unheard_.push_back({key, from, told});  // a few of each shard and total
        return;
    }
    Keeper& of = keeper(key);
    const Instant now = parts_.reactor.now();
    const auto send_to = [&](ShardId to, const ShareGiven& given) {
        parts_.post.send(to, [&peer = parts_.peer(to), key, given] { peer.give(key, given); });
    };
    ShareGiven answer;
    const auto grant = [&](std::optional<SlotKeeper>& slots, const std::optional<SlotAsk>& ask) {
        return slots && ask ? std::optional(slots->grant(*ask, now, parts_.reactor.wall()))
                            : std::nullopt;
    };
    answer.messages = grant(of.messages, told.messages);
    answer.connections = grant(of.connections, told.connections);
    if (told.messages && of.messages && of.messages->to_keep(parts_.reactor.wall())) keep_soon();
    if (of.units && told.units) {
        of.units->told(from, *told.units);
        for (const auto& [shard, award] : of.units->awards(now)) {
            if (shard == from)
                answer.units = award;
            else
                send_to(static_cast<ShardId>(shard), {.units = award});
        }
    }
    if (answer.any()) send_to(from, answer);
}

void Shares::give(const TotalKey& key, const ShareGiven& given) {
    const auto share = shares_.find(key);
    if (share != shares_.end()) share->second->given(given, parts_.reactor.now());
}

void Shares::tick() {
    if (stopped_) return;
    for (const auto& [key, share] : shares_) {
        ShareTold told = share->tell_all(parts_.reactor.now());
        if (told.any()) send(key, told);
    }
}

Task<> Shares::load() {
    const std::vector<storage::Note> notes = co_await notes_.read(quotas_max);
    for (const storage::Note& note : notes)
        kept_.emplace(note.name, parse_quota_counts(note.value));
    loaded_ = true;
    for (const Unheard& one : std::exchange(unheard_, {})) hear(one.key, one.from, one.told);
}

void Shares::keep_soon() {
    if (stopped_ || std::exchange(keeping_, true)) return;
    scope_.spawn(keep_quotas());
}

Task<> Shares::keep_quotas() {
    co_await yield(parts_.reactor);
    co_await keep();
    keeping_ = false;
}

/// What may be given out is written before it is: after a crash no more than the quota has been
/// sent.
Task<> Shares::keep() {
    std::vector<storage::Note> notes;
    std::vector<std::pair<TotalKey, QuotaCounts>> written;
    for (auto& [key, keeper] : keepers_) {
        if (!keeper.messages || !keeper.messages->rules().has_quota()) continue;
        const auto ahead = stopped_ ? std::optional(keeper.messages->counts())
                                    : keeper.messages->to_keep(parts_.reactor.wall());
        if (!ahead || *ahead == keeper.on_disk) continue;
        notes.push_back({note_of(key), to_string(*ahead)});
        written.emplace_back(key, *ahead);
        if (notes.size() == KeptNotes::writes_max) break;
    }
    if (!co_await notes_.write(notes)) co_return;
    for (const auto& [key, counts] : written) {
        Keeper& of = keeper(key);
        of.messages->kept(counts);
        of.on_disk = counts;
    }
}

Task<> Shares::stop() {
    stopped_ = true;
    co_await scope_.join();
    co_await keep();
}

}  // namespace engine

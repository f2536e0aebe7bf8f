#include "engine/delivery/shares.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/delivery/place.h"
#include "engine/reactor/yield.h"

namespace engine {

namespace {

constexpr std::string_view kind = "quota";

/// A blank is in no name.
std::string note_of(const TotalKey& key) {
    return fmt::format("{} {}", to_string(key.of), key.name);
}

TotalKey key_of(const PathName& path) {
    return {TotalOf::path, path.site + ' ' + path.source};
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
    // Without a limit whoever has units of it keeps them until they are free.
    put(units, limits.connections > 0, limits.connections > 0 ? limits.connections : UINT32_MAX,
        size_t{shards});
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
    for (auto& [key, keeper] : keepers_) {
        keeper.use(limits_of(key), parts_.post.count());
        if (!keeper.units) continue;
        // Shards that have all they need would not ask, and go on with what there was before.
        for (const auto& [shard, award] : keeper.units->awards(parts_.reactor.now()))
            send_award(key, static_cast<ShardId>(shard), award);
    }
}

TotalLimits Shares::limits_of(const TotalKey& key) const {
    const auto& all = key.of == TotalOf::path ? paths_ : limits_;
    const auto found = all.find(key);
    return found == all.end() ? TotalLimits{} : found->second;
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
    if (key.of == TotalOf::path)
        return place_of(std::string_view(key.name).substr(0, key.name.find(' ')),
                        parts_.post.count());
    return place_of(note_of(key), parts_.post.count());
}

Share* Shares::path(const PathName& path) {
    const auto found = shares_.find(key_of(path));
    return found == shares_.end() ? nullptr : found->second.get();
}

void Shares::share_path(const PathName& path, const TotalLimits& limits) {
    paths_[key_of(path)] = limits;
    keepers_.erase(key_of(path));
    of(TotalOf::path, key_of(path).name).start(limits);
}

void Shares::begin_path(const PathName& path, const Begun& begun) {
    Keeper& of_path = keeper(key_of(path));
    if (of_path.units) {
        of_path.units->adopt(parts_.post.self(), begun.connections);
        of(TotalOf::path, key_of(path).name).adopt(begun.connections);
    }
    if (of_path.messages) of_path.messages->not_before(begun.next_message);
    if (of_path.connections) of_path.connections->not_before(begun.next_connection);
}

void Shares::lower_path(const PathName& path, const TotalLimits& limits) {
    const auto shared = paths_.find(key_of(path));
    if (shared == paths_.end()) return;
    TotalLimits& now = shared->second;
    const auto lower = [](auto& value, auto by) {
        if (value > 0 && by > 0) value = std::min(value, by);
    };
    lower(now.connections, limits.connections);
    lower(now.connection_rate_per_second, limits.connection_rate_per_second);
    lower(now.rate_per_second, limits.rate_per_second);
    keeper(shared->first).use(now, parts_.post.count());
    of(TotalOf::path, shared->first.name).use(now);
}

bool Shares::has_lent(const PathName& path) const {
    const auto found = keepers_.find(key_of(path));
    return found != keepers_.end() && found->second.units &&
           found->second.units->lent_beside(parts_.post.self()) > 0;
}

Shares::Begun Shares::end_path(const PathName& path) {
    Begun begun;
    const TotalKey key = key_of(path);
    if (const auto found = keepers_.find(key); found != keepers_.end()) {
        const Keeper& of_path = found->second;
        if (of_path.messages) begun.next_message = of_path.messages->next();
        if (of_path.connections) begun.next_connection = of_path.connections->next();
        keepers_.erase(found);
    }
    paths_.erase(key);
    of(TotalOf::path, key.name).start({});
    return begun;
}

void Shares::leave_path(const PathName& path) {
    paths_.erase(key_of(path));
    Share& share = of(TotalOf::path, key_of(path).name);
    share.use({});
    share.let_go();
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
    // Of a path that is not shared any more: all of it has come back.
    if (key.of == TotalOf::path && !paths_.contains(key)) return;
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
    const auto grant = [&](std::optional<SlotKeeper>& slots,
                           const std::optional<SlotAsk>& ask) -> std::optional<SlotGrant> {
        if (!ask) return std::nullopt;
        // A reload that sets the total has not come here yet: no answer, and they would wait for it
        // for ever.
        if (!slots) return SlotGrant{};
        return slots->grant(*ask, now, parts_.reactor.wall());
    };
    answer.messages = grant(of.messages, told.messages);
    answer.connections = grant(of.connections, told.connections);
    if (told.messages && of.messages && of.messages->to_keep(parts_.reactor.wall())) keep_soon();
    if (told.units) {
        // A reload that sets the total has not come here yet: what is told is kept, without a
        // limit.
        if (!of.units) of.units.emplace(UINT32_MAX, size_t{parts_.post.count()});
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

void Shares::send_award(const TotalKey& key, ShardId to, const UnitAward& award) {
    parts_.post.send(to,
                     [&peer = parts_.peer(to), key, award] { peer.give(key, {.units = award}); });
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

// Suppression lists: addresses that a tenant's mail must not go to. A row each, found through a
// bloom filter; in memory only which tenants have any.
#include <algorithm>

#include "storage/errors.h"
#include "storage/ids.h"
#include "storage/keys.h"
#include "storage/range.h"
#include "storage/records.h"
#include "storage/state.h"

namespace storage {

namespace {

// Ids are given out before they are committed, and run ahead of the clock when it jumps back: so
// much later than the highest known one none can have been when an entry was written.
constexpr auto ids_ahead = std::chrono::seconds(10);
constexpr size_t rows_per_write = 10'000;

}  // namespace

void SuppressedTenants::added(const std::string& tenant, JobId last) {
    const JobId upto = make_job_id({.time = parts_of(last).time + ids_ahead});
    const std::lock_guard lock(mutex_);
    JobId& known = upto_[tenant];
    known = std::max(known, upto);
    any_.store(true, std::memory_order_release);
}

JobId SuppressedTenants::upto(std::string_view tenant) const {
    if (!any_.load(std::memory_order_acquire)) return {};
    return std::max(upto_of(tenant), upto_of(every_tenant));
}

JobId SuppressedTenants::upto_of(std::string_view list) const {
    const std::lock_guard lock(mutex_);
    const auto found = upto_.find(list);
    return found == upto_.end() ? JobId{} : found->second;
}

JobId Store::suppressed_upto(std::string_view tenant) const {
    return state_->suppressed.upto(tenant);
}

/// Once for each tenant that has a list.
Result<void> Store::State::load_suppressed_tenants() {
    Range rows(*db, family(Family::suppression), "", "");
    while (rows.valid()) {
        const auto name = parse_suppression_key(rows.key());
        if (!name) return std::unexpected(bad_record("suppression", rows.key()));
        suppressed.added(name->tenant, JobId{last_job.load()});
        rows.seek(behind_prefix(suppression_prefix(name->tenant)));
    }
    if (!rows.status().ok())
        return std::unexpected(error(rows.status(), "read the suppression lists"));
    return {};
}

Result<void> Store::suppress(std::span<const Suppression> entries) {
    while (!entries.empty()) {
        const auto part = entries.first(std::min(entries.size(), rows_per_write));
        rocksdb::WriteBatch batch;
        Writer value;
        for (const Suppression& entry : part) {
            value.clear();
            write_suppression(value, entry);
            batch.Put(state_->family(Family::suppression),
                      suppression_key(entry.tenant, entry.address), value.bytes());
        }
        if (auto written = state_->write(batch, "keep suppressed addresses"); !written)
            return written;
        for (size_t i = 0; i < part.size(); ++i)
            if (i == 0 || part[i].tenant != part[i - 1].tenant)
                state_->note_suppressed(part[i].tenant, {});
        entries = entries.subspan(part.size());
    }
    return {};
}

/// Mail that is between its comparison and its commit has an id of now, and no row by which it
/// would be known.
void Store::State::note_suppressed(const std::string& list, WallTime now) {
    const auto newest = make_job_id({.time = std::chrono::floor<std::chrono::milliseconds>(now)});
    suppressed.added(list, std::max(JobId{last_job.load()}, newest));
}

void Store::look_again(const std::string& list, WallTime now) {
    state_->note_suppressed(list, now);
}

Result<uint64_t> Store::unsuppress(std::string_view tenant,
                                   std::span<const std::string> addresses) {
    const auto known = suppressed_in(tenant, addresses);
    if (!known) return std::unexpected(known.error());
    rocksdb::WriteBatch batch;
    uint64_t removed = 0;
    for (size_t i = 0; i < addresses.size(); ++i) {
        if (!(*known)[i]) continue;
        ++removed;
        batch.Delete(state_->family(Family::suppression), suppression_key(tenant, addresses[i]));
    }
    if (removed == 0) return 0;
    if (auto written = state_->write(batch, "forget suppressed addresses"); !written)
        return std::unexpected(written.error());
    return removed;
}

Result<std::vector<bool>> Store::suppressed_in(std::string_view tenant,
                                               std::span<const std::string> addresses) {
    std::vector<bool> found(addresses.size(), false);
    if (addresses.empty()) return found;
    std::vector<std::string> keys;
    keys.reserve(addresses.size());
    for (const std::string& address : addresses) keys.push_back(suppression_key(tenant, address));
    const std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    state_->db->MultiGet({}, state_->family(Family::suppression), keys.size(), slices.data(),
                         values.data(), statuses.data());
    for (size_t i = 0; i < keys.size(); ++i) {
        if (statuses[i].IsCorruption())
            state_->tell_unreadable(Family::suppression, statuses[i].ToString());
        if (!statuses[i].ok() && !statuses[i].IsNotFound())
            return std::unexpected(state_->error(statuses[i], "read the suppression lists"));
        found[i] = statuses[i].ok();
    }
    return found;
}

Result<std::vector<bool>> Store::suppressed(std::string_view tenant,
                                            std::span<const std::string> addresses) {
    std::vector<bool> found(addresses.size(), false);
    for (const std::string_view list : {tenant, every_tenant}) {
        if (state_->suppressed.upto_of(list) == JobId{}) continue;
        const auto in = suppressed_in(list, addresses);
        if (!in) return in;
        for (size_t i = 0; i < found.size(); ++i) found[i] = found[i] || (*in)[i];
    }
    return found;
}

Result<std::optional<Suppression>> Store::suppression(std::string_view tenant,
                                                      std::string_view address) {
    const std::string key = suppression_key(tenant, address);
    std::string bytes;
    const auto status = state_->db->Get({}, state_->family(Family::suppression), key, &bytes);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return std::unexpected(state_->error(status, "read a suppression list"));
    auto entry = read_suppression(tenant, address, bytes);
    if (!entry) return std::unexpected(bad_record("suppression", key));
    return entry;
}

Result<std::vector<Suppression>> Store::suppressions(std::string_view tenant,
                                                     std::string_view after, size_t limit) {
    const std::string prefix = suppression_prefix(tenant);
    std::vector<Suppression> found;
    Range rows(*state_->db, state_->family(Family::suppression), prefix + std::string(after),
               behind_prefix(prefix), Range::Caching::pass_through);
    for (; rows.valid() && found.size() < limit; rows.next()) {
        const auto name = parse_suppression_key(rows.key());
        if (!name) return std::unexpected(bad_record("suppression", rows.key()));
        if (!after.empty() && name->address == after) continue;
        auto entry = read_suppression(name->tenant, name->address, rows.value());
        if (!entry) return std::unexpected(bad_record("suppression", rows.key()));
        found.push_back(std::move(*entry));
    }
    if (!rows.status().ok())
        return std::unexpected(state_->error(rows.status(), "read a suppression list"));
    return found;
}

}  // namespace storage

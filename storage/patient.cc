#include "storage/patient.h"

#include <algorithm>
#include <memory>
#include <optional>

namespace storage {

namespace {

constexpr size_t readahead_bytes = size_t{1} << 20;
constexpr size_t probe_bytes = 48;  // longer than most keys; where one is longer, a little more

std::string_view view(const rocksdb::Slice& slice) {
    return {slice.data(), slice.size()};
}

/// The number between two byte strings of one length, read big-endian.
std::string middle_of(const std::string& low, const std::string& high) {
    std::string sum(low.size(), '\0');
    unsigned carry = 0;
    for (size_t i = low.size(); i-- > 0;) {
        carry += static_cast<uint8_t>(low[i]) + static_cast<uint8_t>(high[i]);
        sum[i] = static_cast<char>(carry & 0xff);
        carry >>= 8;
    }
    for (char& octet : sum) {
        const unsigned value = static_cast<uint8_t>(octet) | carry << 8;
        octet = static_cast<char>(value >> 1);
        carry = value & 1;
    }
    return sum;
}

/// Between `low`, from where rows cannot be read, and `high`, from where they can. Where the blocks
/// of a table begin nobody outside RocksDB knows, so the key is searched for as a number: a read of
/// a block for each bit, 384 but for long keys.
std::string least_readable(const std::function<bool(const std::string&)>& reads, std::string low,
                           std::string high) {
    while (true) {
        std::string middle = middle_of(low, high);
        if (middle == low) return high;
        (reads(middle) ? high : low) = std::move(middle);
    }
}

/// The least key behind `after` from which rows can be read again; nullopt: from none.
std::optional<std::string> next_readable(const std::function<bool(const std::string&)>& reads,
                                         const std::string& after) {
    std::string low = after;
    low.resize(std::max(probe_bytes, after.size() + 2), '\0');
    std::string high(low.size(), '\xff');
    if (!reads(high)) return std::nullopt;
    return least_readable(reads, std::move(low), std::move(high));
}

}  // namespace

std::string_view name_of(Family family) {
    constexpr std::string_view names[] = {"meta",  "content",     "queue", "delivery",
                                          "event", "idempotency", "job",   "suppression"};
    static_assert(std::size(names) == family_count);
    return names[static_cast<size_t>(family)];
}

std::vector<Gap> read_patiently(
    rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle, Family family,
    const std::function<void(std::string_view key, std::string_view value)>& row) {
    std::vector<Gap> gaps;
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    options.readahead_size = readahead_bytes;
    // A new one for each look: an iterator that has failed fails again wherever it is sent.
    const auto rows_from = [&](const std::string& key) {
        std::unique_ptr<rocksdb::Iterator> rows(db.NewIterator(options, handle));
        rows->Seek(key);
        return rows;
    };
    const auto reads = [&](const std::string& key) { return rows_from(key)->status().ok(); };
    std::string last;
    auto rows = rows_from(last);
    while (true) {
        for (; rows->Valid(); rows->Next()) {
            last = rows->key().ToString();
            row(last, view(rows->value()));
        }
        if (rows->status().ok()) return gaps;
        Gap gap{.family = family, .after = last, .before = {}, .why = rows->status().ToString()};
        if (const auto on = next_readable(reads, last); on && *on > last) gap.before = *on;
        gaps.push_back(gap);
        if (gap.before.empty()) return gaps;
        last = gap.before;
        rows = rows_from(last);
    }
}

std::string readable_from(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle,
                          const std::string& after, const std::string& end) {
    rocksdb::ReadOptions options;
    const rocksdb::Slice bound(end);
    options.iterate_upper_bound = &bound;
    const auto reads = [&](const std::string& key) {
        const std::unique_ptr<rocksdb::Iterator> rows(db.NewIterator(options, handle));
        rows->Seek(key);
        return rows->status().ok();
    };
    std::string low = after;
    low.resize(probe_bytes, '\0');
    std::string high = end;  // behind the bound, so it takes no read
    high.resize(probe_bytes, '\0');
    return std::min(least_readable(reads, low, high), end);
}

}  // namespace storage

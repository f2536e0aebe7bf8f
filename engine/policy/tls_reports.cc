#include "engine/policy/tls_reports.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "metrics/check.h"
#include "metrics/log.h"
#include "storage/store.h"

namespace engine {

namespace {

constexpr std::string_view note_kind = "tlsrpt";
constexpr size_t forget_at_once = 10'000;

/// Rows of one policy share it; the policy itself is in the row.
std::string row_key(const std::string& domain, const TlsFinding& finding) {
    std::string policy;
    if (finding.policy)
        for (const std::string& line : lines_of(*finding.policy)) policy += line + "\n";
    // Only for this process and this day: a note's name has the boot and the shard in it.
    return fmt::format("{}/{}/{:016x}", domain, to_string(finding.type),
                       policy.empty() ? 0 : std::hash<std::string>{}(policy));
}

ReportDay day_of(WallTime time) {
    return std::chrono::floor<std::chrono::days>(time);
}

}  // namespace

std::string to_string(ReportDay day) {
    const std::chrono::year_month_day date(day);
    return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::optional<ReportDay> parse_report_day(std::string_view text) {
    const auto number = [&](size_t at, size_t size) {
        int value = -1;
        const char* const begin = text.data() + at;
        const auto [end, error] = std::from_chars(begin, begin + size, value);
        return error == std::errc{} && end == begin + size ? value : -1;
    };
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
    const int year = number(0, 4), month = number(5, 2), day = number(8, 2);
    if (year < 1970 || month < 1 || day < 1) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return std::nullopt;
    return ReportDay(date);
}

void TlsReports::count(const std::string& domain, const TlsFinding& finding, const std::string& mx,
                       const std::string& ip) {
    if (Row* const counted = row(domain, finding)) {
        auto counts = decode_tls_counts(counted->counts);
        CHECK(counts, "counts that were encoded here cannot be read");
        counts->add(finding, mx, ip);
        counted->counts = encode(*counts);
        counted->counts.shrink_to_fit();
        counted->changed = true;
    } else {
        ++dropped_;
    }
}

TlsReports::Row* TlsReports::row(const std::string& domain, const TlsFinding& finding) {
    const ReportDay today = day_of(parts_.clock.wall());
    if (today != day_) {
        for (auto& [key, row] : rows_)
            if (row.changed) late_.push_back({note_name(key), std::move(row.counts)});
        rows_.clear();
        day_ = today;
    }
    std::string key = row_key(domain, finding);
    const auto known = rows_.find(key);
    if (known != rows_.end()) return &known->second;
    if (rows_.size() >= rows_max) return nullptr;
    TlsCounts none{.type = finding.type};
    if (finding.policy) {
        none.policy = lines_of(*finding.policy);
        none.mx = finding.policy->mx;
    }
    return &rows_.emplace(std::move(key), Row{encode(none)}).first->second;
}

/// Of a row of day_.
std::string TlsReports::note_name(const std::string& key) const {
    return fmt::format("{}/{}/{}.{}", to_string(day_), key, parts_.store.boot(), parts_.shard);
}

Task<> TlsReports::flush() {
    std::vector<storage::Note> notes = std::exchange(late_, {});
    for (auto& [key, row] : rows_)
        if (std::exchange(row.changed, false)) notes.push_back({note_name(key), row.counts});
    if (const uint64_t dropped = std::exchange(dropped_, 0))
        metrics::log::warn("tls_reports.full",
                           {{"limit", rows_max}, {"sessions_not_counted", dropped}});
    if (notes.empty()) co_return;
    co_await parts_.worker.run([&, &store = parts_.store] {
        if (auto done = store.put_notes(note_kind, notes); !done)
            metrics::log::warn("tls_reports.not_stored", {{"error", done.error().what}});
    });
}

Task<> TlsReports::forget() {
    const std::string oldest_kept = to_string(day_of(parts_.clock.wall()) - kept_for);
    co_await parts_.worker.run([&, &store = parts_.store] {
        auto notes = store.notes(note_kind, "", forget_at_once);
        if (!notes) return;  // said by those who write
        std::erase_if(*notes, [&](const storage::Note& note) { return note.name >= oldest_kept; });
        for (storage::Note& note : *notes) note.value.clear();
        if (notes->empty()) return;
        if (auto done = store.put_notes(note_kind, *notes); !done)
            metrics::log::warn("tls_reports.not_dropped", {{"error", done.error().what}});
    });
}

std::expected<TlsDomainCounts, std::string> tls_counts_of(storage::Store& store, ReportDay day,
                                                          const std::string& domain) {
    const std::string head = to_string(day) + "/";
    const auto notes =
        store.notes(note_kind, domain.empty() ? head : head + domain + "/", TlsReports::stored_max);
    if (!notes) return std::unexpected(notes.error().what);
    TlsDomainCounts found;
    for (const storage::Note& note : *notes) {
        const auto counts = decode_tls_counts(note.value);
        if (!counts)
            return std::unexpected(fmt::format("the stored count {} is damaged", note.name));
        const size_t end = note.name.find('/', head.size());
        std::vector<TlsCounts>& of_domain = found[note.name.substr(head.size(), end - head.size())];
        const auto same = std::ranges::find_if(
            of_domain, [&](const TlsCounts& one) { return one.same_policy(*counts); });
        if (same == of_domain.end()) {
            of_domain.push_back(*counts);
        } else {
            same->add(*counts);
        }
    }
    return found;
}

}  // namespace engine

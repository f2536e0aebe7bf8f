#include "metrics/metric.h"

#include <algorithm>
#include <utility>

#include "metrics/check.h"
#include "metrics/series.h"

namespace metrics {

Histogram::Histogram(Buckets bounds) : bounds_(bounds) {
    CHECK(bounds.size() <= buckets_max, "a histogram has more buckets than Histogram::buckets_max");
    CHECK(std::ranges::is_sorted(bounds), "a histogram's bounds are not ascending");
}

void Histogram::observe(double v) noexcept {
    const auto bucket = static_cast<size_t>(std::ranges::lower_bound(bounds_, v) - bounds_.begin());
    auto& count = counts_[bucket];
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    sum_.store(sum_.load(std::memory_order_relaxed) + v, std::memory_order_relaxed);
}

Histogram::Reading Histogram::read() const noexcept {
    Reading reading;
    for (size_t i = 0; i <= bounds_.size(); ++i) {
        reading.counts[i] = counts_[i].load(std::memory_order_relaxed);
    }
    reading.sum = sum_.load(std::memory_order_relaxed);
    return reading;
}

namespace {
constexpr std::string_view overflow_label = "other";

size_t label_count(const Family& family) {
    return static_cast<size_t>(
        std::ranges::count_if(family.labels, [](const char* l) { return l != nullptr; }));
}

size_t hash_of(const Family& family, std::initializer_list<std::string_view> label_values) {
    size_t hash = std::hash<const Family*>{}(&family);
    for (const auto value : label_values) {
        hash = hash * 0x9e3779b97f4a7c15ULL + std::hash<std::string_view>{}(value);
    }
    return hash;
}
}  // namespace

Registry::State::~State() {
    for (Series* s = first.load(std::memory_order_relaxed); s;) {
        delete std::exchange(s, s->next.load(std::memory_order_relaxed));
    }
}

Series& Registry::State::find(const Family& family,
                              std::initializer_list<std::string_view> label_values) {
    CHECK(label_values.size() == label_count(family),
          "a series was asked for with the wrong number of labels");
    const size_t hash = hash_of(family, label_values);
    for (auto [it, end] = by_labels_.equal_range(hash); it != end; ++it) {
        Series& known = *it->second;
        if (known.family == &family && std::ranges::equal(known.labels, label_values)) return known;
    }
    // The cap keeps a label that a stranger can influence from filling the memory here and in
    // Prometheus.
    const bool is_overflow =
        std::ranges::all_of(label_values, [](auto v) { return v == overflow_label; });
    if (label_values.size() > 0 && !is_overflow && counts_[&family] >= family.series_max) {
        switch (label_values.size()) {
            case 1:
                return find(family, {overflow_label});
            case 2:
                return find(family, {overflow_label, overflow_label});
            default:
                return find(family, {overflow_label, overflow_label, overflow_label});
        }
    }
    Series& created = append(family, {label_values.begin(), label_values.end()});
    by_labels_.emplace(hash, &created);
    return created;
}

Series& Registry::State::append(const Family& family, std::vector<std::string> label_values) {
    Series* created = nullptr;
    switch (family.kind) {
        case Kind::counter:
            created = new Series(family, std::move(label_values), std::in_place_type<Counter>);
            break;
        case Kind::gauge:
            created = new Series(family, std::move(label_values), std::in_place_type<Gauge>);
            break;
        case Kind::histogram:
            created = new Series(family, std::move(label_values), std::in_place_type<Histogram>,
                                 family.buckets);
            break;
    }
    ++counts_[&family];
    (last_ ? last_->next : first).store(created, std::memory_order_release);
    last_ = created;
    return *created;
}

Registry::Registry() : state_(std::make_unique<State>()) {}
Registry::~Registry() = default;

Counter& Registry::counter(const Family& family,
                           std::initializer_list<std::string_view> label_values) {
    CHECK(family.kind == Kind::counter, "a counter was asked for by a family of another kind");
    return std::get<Counter>(state_->find(family, label_values).value);
}

Gauge& Registry::gauge(const Family& family, std::initializer_list<std::string_view> label_values) {
    CHECK(family.kind == Kind::gauge, "a gauge was asked for by a family of another kind");
    return std::get<Gauge>(state_->find(family, label_values).value);
}

Histogram& Registry::histogram(const Family& family,
                               std::initializer_list<std::string_view> label_values) {
    CHECK(family.kind == Kind::histogram, "a histogram was asked for by a family of another kind");
    return std::get<Histogram>(state_->find(family, label_values).value);
}

}  // namespace metrics

// What the exposer reads of a registry: a list of series that only grows. The owner of the registry
// links a finished series with a release store, so a reader that follows the links with acquire
// loads sees whole series and never waits.
#pragma once

#include <atomic>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "metrics/metric.h"

namespace metrics {

struct Series {
    const Family* family = nullptr;
    std::vector<std::string> labels;  // values, in the order of family->labels
    std::variant<Counter, Gauge, Histogram> value;
    std::atomic<Series*> next{nullptr};

    template <class Metric, class... Args>
    Series(const Family& of, std::vector<std::string> label_values,
           std::in_place_type_t<Metric> metric, Args... args)
        : family(&of), labels(std::move(label_values)), value(metric, args...) {}
};

struct Registry::State {
    ~State();
    Series& find(const Family& family, std::initializer_list<std::string_view> label_values);

    /// Calls visit(const Series&) for every series there is now, in the order of their birth. Any
    /// thread.
    template <class Visit>
    void each(Visit visit) const {
        for (const Series* s = first.load(std::memory_order_acquire); s;
             s = s->next.load(std::memory_order_acquire)) {
            visit(*s);
        }
    }

    std::atomic<Series*> first{nullptr};

  private:
    Series& append(const Family& family, std::vector<std::string> label_values);
    // The owner's alone: how it finds a series again, and how many a family has.
    Series* last_ = nullptr;
    std::unordered_multimap<size_t, Series*> by_labels_;
    std::unordered_map<const Family*, uint32_t> counts_;
};

}  // namespace metrics

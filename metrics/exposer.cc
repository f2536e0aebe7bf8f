#include "metrics/exposer.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "metrics/catalog.h"
#include "metrics/check.h"
#include "metrics/log.h"
#include "metrics/process.h"
#include "metrics/series.h"

namespace metrics {

namespace {
using Labels = std::vector<std::string>;

prometheus::MetricType type_of(Kind kind) {
    switch (kind) {
        case Kind::counter:
            return prometheus::MetricType::Counter;
        case Kind::gauge:
            return prometheus::MetricType::Gauge;
        case Kind::histogram:
            return prometheus::MetricType::Histogram;
    }
    return prometheus::MetricType::Untyped;
}

/// One family of the page while the registries are being added up. Families are joined by name,
/// because a test or a second translation unit may hold its own copy of a declaration.
struct Page {
    struct Entry {
        const Family* family;
        std::map<Labels, prometheus::ClientMetric> metrics;
    };
    std::map<std::string_view, Entry> families;

    void add(const Series& series) {
        const Family& family = *series.family;
        Entry& entry = families.try_emplace(family.name, Entry{&family, {}}).first->second;
        if (entry.family->kind != family.kind)
            return;  // two declarations that contradict each other: the first wins
        const auto [it, is_new] = entry.metrics.try_emplace(series.labels);
        prometheus::ClientMetric& metric = it->second;
        if (is_new) name_labels(metric, series);
        if (const auto* counter = std::get_if<Counter>(&series.value)) {
            metric.counter.value += static_cast<double>(counter->value()) * family.unit;
        } else if (const auto* gauge = std::get_if<Gauge>(&series.value)) {
            const double v = gauge->value();
            const bool largest = !is_new && family.across == Across::max;
            metric.gauge.value = largest ? std::max(metric.gauge.value, v) : metric.gauge.value + v;
        } else {
            add_histogram(metric.histogram, std::get<Histogram>(series.value));
        }
    }

    static void name_labels(prometheus::ClientMetric& metric, const Series& series) {
        for (size_t i = 0; i < series.labels.size(); ++i) {
            metric.label.push_back({series.family->labels[i], series.labels[i]});
        }
    }

    static void add_histogram(prometheus::ClientMetric::Histogram& into, const Histogram& from) {
        const Histogram::Reading reading = from.read();
        const Buckets bounds = from.bounds();
        into.bucket.resize(bounds.size() + 1);
        uint64_t cumulative = 0;
        for (size_t i = 0; i <= bounds.size(); ++i) {
            cumulative += reading.counts[i];
            into.bucket[i].cumulative_count += cumulative;
            into.bucket[i].upper_bound =
                i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
        }
        into.sample_count += cumulative;
        into.sample_sum += reading.sum;
    }

    std::vector<prometheus::MetricFamily> take() {
        std::vector<prometheus::MetricFamily> all;
        all.reserve(families.size());
        for (auto& [name, entry] : families) {
            auto& family = all.emplace_back();
            family.name = entry.family->name;
            family.help = entry.family->help;
            family.type = type_of(entry.family->kind);
            for (auto& [labels, metric] : entry.metrics) family.metric.push_back(std::move(metric));
        }
        return all;
    }
};

void append_process(std::vector<prometheus::MetricFamily>& all) {
    using prometheus::MetricType;
    const ProcessUsage usage = read_process_usage();
    const auto add = [&](const char* name, const char* help, MetricType type, double value) {
        if (value < 0) return;
        prometheus::ClientMetric metric;
        (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
        all.push_back({name, help, type, {metric}});
    };
    add("process_cpu_seconds_total", "User and system CPU time.", MetricType::Counter,
        usage.cpu_seconds);
    add("process_resident_memory_bytes", "Resident memory.", MetricType::Gauge,
        usage.resident_bytes);
    add("process_virtual_memory_bytes", "Virtual memory.", MetricType::Gauge, usage.virtual_bytes);
    add("process_start_time_seconds", "Start of the process since the epoch.", MetricType::Gauge,
        usage.start_time_seconds);
    add("process_threads", "Threads.", MetricType::Gauge, usage.threads);
    add("process_open_fds", "Open file descriptors.", MetricType::Gauge, usage.open_fds);
    add("process_max_fds", "Limit of open file descriptors.", MetricType::Gauge, usage.max_fds);
}

/// What prometheus-cpp asks at each scrape. The mutex guards the lists and keeps two scrapes apart;
/// no shard takes it.
class Collector final : public prometheus::Collectable {
  public:
    explicit Collector(const std::string& version) {
        own_.gauge(catalog::build_info, {version}).set(1);
    }

    std::vector<prometheus::MetricFamily> Collect() const override {
        const std::lock_guard lock(mutex_);
        for (const auto& hook : hooks_) hook(own_);
        Counter& dropped = own_.counter(catalog::log_dropped);
        dropped.add(log::dropped() - dropped.value());
        Page page;
        own_.state().each([&](const Series& s) { page.add(s); });
        for (const Registry* registry : registries_)
            registry->state().each([&](const Series& s) { page.add(s); });
        auto all = page.take();
        append_process(all);
        return all;
    }

    void add(const Registry& registry) {
        const std::lock_guard lock(mutex_);
        registries_.push_back(&registry);
    }
    void on_scrape(std::function<void(Registry&)> hook) {
        const std::lock_guard lock(mutex_);
        hooks_.push_back(std::move(hook));
    }

  private:
    mutable std::mutex mutex_;
    mutable Registry own_;
    std::vector<const Registry*> registries_;
    std::vector<std::function<void(Registry&)>> hooks_;
};

struct Bindable {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

std::optional<Bindable> parse_address(const std::string& text) {
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos) return std::nullopt;
    uint16_t port = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, failed] = std::from_chars(text.data() + colon + 1, end, port);
    if (failed != std::errc{} || stop != end) return std::nullopt;
    std::string ip = text.substr(0, colon);
    Bindable address;
    if (ip.starts_with('[') && ip.ends_with(']')) {
        ip = ip.substr(1, ip.size() - 2);
        auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        address.size = sizeof v6;
        if (inet_pton(AF_INET6, ip.c_str(), &v6.sin6_addr) == 1) return address;
    } else {
        auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        address.size = sizeof v4;
        if (inet_pton(AF_INET, ip.c_str(), &v4.sin_addr) == 1) return address;
    }
    return std::nullopt;
}

/// civetweb says no more than "could not start", so we bind once ourselves to learn why.
std::optional<std::string> why_not(const std::string& text, const Bindable& address) {
    const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    int error = 0;
    if (fd < 0) {
        error = errno;
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
            listen(fd, 1) != 0) {
            error = errno;
        }
        close(fd);
    }
    if (error == 0) return std::nullopt;
    const char* mend =
        error == EADDRINUSE      ? "another process listens there; stop it or set another address"
        : error == EADDRNOTAVAIL ? "no interface of this host has it; set one that exists"
        : error == EACCES        ? "ports below 1024 need a capability; set a higher one"
                                 : "set another address";
    return fmt::format("metrics: cannot listen on {} ({}): {} in [listen] metrics", text,
                       std::strerror(error), mend);
}
}  // namespace

struct Exposer::State {
    std::shared_ptr<Collector> collector;
    std::unique_ptr<prometheus::Exposer> endpoint;
    Bindable address;  // with the port that it got
};

Exposer::Exposer() : state_(std::make_unique<State>()) {}

Exposer::~Exposer() {
    if (!state_->endpoint) return;
    // civetweb looks at its stop flag only when its poll of 2 s ends, and a stop of the daemon
    // should not take that long: connections from ourselves end the poll.
    std::atomic<bool> stopped{false};
    std::thread waker([&] {
        while (!stopped) {
            const int fd = socket(state_->address.storage.ss_family,
                                  SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            if (fd >= 0) {
                (void)connect(fd, reinterpret_cast<const sockaddr*>(&state_->address.storage),
                              state_->address.size);
                close(fd);
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    });
    state_->endpoint.reset();
    stopped = true;
    waker.join();
}

std::expected<std::unique_ptr<Exposer>, std::string> Exposer::start(const std::string& address,
                                                                    const std::string& version) {
    const auto parsed = parse_address(address);
    if (!parsed) {
        return std::unexpected(fmt::format(
            "metrics: '{}' is no address to listen on; write ip:port, such as 127.0.0.1:9125",
            address));
    }
    if (auto problem = why_not(address, *parsed)) return std::unexpected(std::move(*problem));
    std::unique_ptr<Exposer> exposer(new Exposer);
    exposer->state_->collector = std::make_shared<Collector>(version);
    try {
        exposer->state_->endpoint = std::make_unique<prometheus::Exposer>(address);
    } catch (const std::exception& failed) {
        return std::unexpected(
            fmt::format("metrics: cannot serve on {} ({}); set another address in [listen] metrics",
                        address, failed.what()));
    }
    exposer->state_->endpoint->RegisterCollectable(exposer->state_->collector);
    exposer->state_->address = *parsed;
    // The port is at the same place for both families.
    reinterpret_cast<sockaddr_in&>(exposer->state_->address.storage).sin_port =
        htons(exposer->port());
    return exposer;
}

void Exposer::add(const Registry& registry) {
    state_->collector->add(registry);
}

void Exposer::on_scrape(std::function<void(Registry&)> hook) {
    state_->collector->on_scrape(std::move(hook));
}

uint16_t Exposer::port() const {
    const auto ports = state_->endpoint->GetListeningPorts();
    CHECK(!ports.empty(), "the metrics endpoint runs without a port");
    return static_cast<uint16_t>(ports.front());
}

}  // namespace metrics

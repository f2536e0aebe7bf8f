// What the store costs: usage bench-storage DIRECTORY
// [transactional|campaign|queues|churn[=OPTION]]... Prints one line per measurement; the directory
// must be empty and on the disk that is meant.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "bench/store/churn.h"
#include "bench/store/measure.h"

namespace {

using namespace storage;
using namespace bench;
using Steady = std::chrono::steady_clock;

double seconds_since(Steady::time_point start) {
    return std::chrono::duration<double>(Steady::now() - start).count();
}

struct Meter {
    std::vector<double> milliseconds;
    Steady::time_point start = Steady::now();
    double cpu = cpu_seconds();
    double thread_cpu = thread_cpu_seconds();
    double commit_cpu = 0;  // of this thread; what it uses between commits is the bench itself
    uint64_t disk = disk_bytes();
    uint64_t group = 0;
    uint64_t log_bytes = 0;

    void commit(Store& store, const std::vector<Batch>& batches) {
        const auto begin = Steady::now();
        const double cpu_before = thread_cpu_seconds();
        log_bytes += must(store.commit(batches, 0, ++group)).bytes;
        commit_cpu += thread_cpu_seconds() - cpu_before;
        milliseconds.push_back(seconds_since(begin) * 1e3);
    }
    void print(const std::string& what, double deliveries) {
        const double wall = seconds_since(start);
        const double own = thread_cpu_seconds() - thread_cpu - commit_cpu;
        const double used = cpu_seconds() - cpu - own;
        std::ranges::sort(milliseconds);
        fmt::print(
            "{}: {:.0f} deliveries/s, {:.0f} commits/s (p50 {:.2f} ms, p99 {:.2f} ms), "
            "{:.1f} us CPU ({:.1f} in commit), {:.0f} B of log, {:.0f} B of disk writes a "
            "delivery\n",
            what, deliveries / wall, static_cast<double>(milliseconds.size()) / wall,
            milliseconds[milliseconds.size() / 2], milliseconds[milliseconds.size() * 99 / 100],
            used / deliveries * 1e6, commit_cpu / deliveries * 1e6,
            static_cast<double>(log_bytes) / deliveries,
            static_cast<double>(disk_bytes() - disk) / deliveries);
    }
};

// Mails of one recipient: a commit accepts a group of them, the next one finishes it.
void transactional(const std::filesystem::path& directory) {
    for (const size_t group_size : {1, 64, 256}) {
        auto store = must(Store::open({.data_dir = directory / fmt::format("t{}", group_size)}));
        Meter meter;
        uint64_t jobs = 0;
        while (seconds_since(meter.start) < 5) {
            std::vector<Batch> accepts(group_size);
            std::vector<Batch> ends(group_size);
            for (size_t i = 0; i < group_size; ++i) {
                const JobId id{++jobs << 16};
                const QueueId queue{jobs % 100, jobs % 100};
                accepts[i].jobs.push_back({.id = id,
                                           .tenant = "acme",
                                           .campaign = "november",
                                           .pool = "default",
                                           .sender = "bounce@news.example.com",
                                           .created = noon,
                                           .content = words(1024, jobs)});
                accepts[i].job_ends.push_back(id);
                accepts[i].puts.push_back(delivery_of(id, 0, queue));
                accepts[i].events.push_back(event_of(Event::Type::accepted, accepts[i].puts[0]));
                ends[i].removes.push_back(key_of(accepts[i].puts[0]));
                ends[i].events.push_back(event_of(Event::Type::delivered, accepts[i].puts[0]));
            }
            meter.commit(*store, accepts);
            meter.commit(*store, ends);
        }
        meter.print(fmt::format("transactional, groups of {}", group_size),
                    static_cast<double>(jobs));
    }
}

// One job of 250,000 recipients in 1,000 queues, accepted in groups of 1,000 and finished in
// groups of 256.
void campaign(const std::filesystem::path& directory) {
    constexpr uint32_t recipients = 250'000;
    constexpr uint32_t per_part = 1000;
    const StoreOptions options{.data_dir = directory / "campaign"};
    auto store = must(Store::open(options));
    const JobId id{1 << 22};
    const auto queue_of = [](uint32_t index) { return QueueId{index % 1000, index % 1000}; };
    {
        Meter meter;
        for (uint32_t at = 0; at < recipients; at += per_part) {
            std::vector<Batch> part(1);
            if (at == 0)
                part[0].jobs.push_back({.id = id,
                                        .tenant = "acme",
                                        .campaign = "november",
                                        .pool = "default",
                                        .created = noon,
                                        .content = words(50 << 10, 1)});
            for (uint32_t i = at; i < at + per_part; ++i) {
                part[0].puts.push_back(delivery_of(id, i, queue_of(i)));
                part[0].events.push_back(event_of(Event::Type::accepted, part[0].puts.back()));
            }
            meter.commit(*store, part);
        }
        meter.print("campaign, accepted", recipients);
    }
    fmt::print("campaign: {:.0f} B of data_dir a delivery with the log\n",
               static_cast<double>(store->data_bytes()) / recipients);
    store.reset();
    store = must(Store::open(options));
    fmt::print("campaign: {:.0f} B of data_dir a delivery after a restart\n",
               static_cast<double>(store->data_bytes()) / recipients);
    {
        Meter meter;
        constexpr uint32_t per_group = 256;
        for (uint32_t at = 0; at < recipients; at += per_group) {
            std::vector<Batch> ends;
            for (uint32_t i = at; i < std::min(at + per_group, recipients); ++i) {
                const Delivery d = delivery_of(id, i, queue_of(i));
                ends.emplace_back();
                ends.back().removes.push_back(key_of(d));
                ends.back().events.push_back(event_of(Event::Type::delivered, d));
            }
            meter.commit(*store, ends);
        }
        meter.print("campaign, delivered", recipients);
    }
    const auto start = Steady::now();
    const auto job = must(store->job(id));
    fmt::print("campaign: its row read in {:.1f} ms, {} delivered\n", seconds_since(start) * 1e3,
               job->counts.delivered);
    const auto story_start = Steady::now();
    const size_t events = must(store->events_of({id, recipients / 2}, 10)).size();
    fmt::print("campaign: the story of one delivery ({} events) read in {:.0f} ms\n", events,
               seconds_since(story_start) * 1e3);
}

// What a start has to do with 100,000 queues of 10 rows.
void queues(const std::filesystem::path& directory) {
    constexpr uint64_t queue_count = 100'000;
    const StoreOptions options{.data_dir = directory / "queues"};
    auto store = must(Store::open(options));
    const JobId id{1 << 22};
    uint64_t group = 0;
    for (uint64_t at = 0; at < queue_count; at += 100) {
        Batch batch;
        for (uint64_t n = at; n < at + 100; ++n) {
            const QueueId queue{n * 0x9e3779b97f4a7c15ULL, n};
            batch.queues.emplace_back(queue, QueueInfo{"acme", "november", Class::bulk,
                                                       fmt::format("domain{}.example", n)});
            for (uint32_t i = 0; i < 10; ++i)
                batch.puts.push_back(delivery_of(id, static_cast<uint32_t>(n * 10 + i), queue));
        }
        must(store->commit({&batch, 1}, 0, ++group));
    }
    store.reset();
    for (const char* what : {"replays the log", "has tables only"}) {
        auto start = Steady::now();
        store = must(Store::open(options));
        const double open = seconds_since(start);
        start = Steady::now();
        const double cpu_before = thread_cpu_seconds();
        const size_t found = must(store->queues()).size();
        const double listed = seconds_since(start);
        const double listed_cpu = thread_cpu_seconds() - cpu_before;
        while (!store->delivery_rows().second) std::this_thread::yield();
        fmt::print(
            "a start that {}: open {:.2f} s, queues() of {} in {:.2f} s ({:.2f} s CPU), {} rows "
            "counted "
            "after {:.2f} s\n",
            what, open, found, listed, listed_cpu, store->delivery_rows().first,
            seconds_since(start));
        store.reset();
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fputs(
            "usage: bench-storage DIRECTORY [transactional|campaign|queues|churn[=OPTION]]...\n",
            stderr);
        return 2;
    }
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::filesystem::path directory = argv[1];
    const std::vector<std::string> chosen(argv + 2, argv + argc);
    const auto wanted = [&](const char* name) {
        return chosen.empty() || std::ranges::find(chosen, name) != chosen.end();
    };
    if (wanted("transactional")) transactional(directory);
    if (wanted("campaign")) campaign(directory);
    if (wanted("queues")) queues(directory);
    for (const std::string& word : chosen)
        if (word.starts_with("churn") && !churn(directory, word.substr(5))) return 2;
    return 0;
}

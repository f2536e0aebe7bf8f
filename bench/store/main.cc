// What the store costs: usage bench-storage DIRECTORY [transactional|campaign|queues]...
// Prints one line per measurement; the directory must be empty and on the disk that is meant.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "storage/ids.h"
#include "storage/store.h"

namespace {

using namespace storage;
using Steady = std::chrono::steady_clock;

constexpr WallTime noon{std::chrono::milliseconds(1'795'000'000'000)};

double seconds_since(Steady::time_point start) {
    return std::chrono::duration<double>(Steady::now() - start).count();
}

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double thread_cpu_seconds() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// What the process has had written to the disk, the log included.
uint64_t disk_bytes() {
    std::ifstream io("/proc/self/io");
    std::string name;
    uint64_t value = 0;
    while (io >> name >> value)
        if (name == "write_bytes:") return value;
    return 0;
}

template <class T>
T must(Result<T> result) {
    if (result) return std::move(*result);
    std::fprintf(stderr, "%s\n", result.error().what.c_str());
    std::exit(1);
}

std::string words(size_t bytes, uint64_t seed) {
    static constexpr const char* list[] = {"hello ",  "<td> ",    "offer ",  "{{name}} ",
                                           "winter ", "</table>", "of the ", "https://x.test/"};
    std::string text;
    for (uint64_t n = seed; text.size() < bytes;
         n = n * 6364136223846793005ULL + 1442695040888963407ULL)
        text += list[n >> 61] + std::to_string(n >> 50);
    text.resize(bytes);
    return text;
}

Delivery delivery_of(JobId job, uint32_t index, QueueId queue) {
    Delivery d;
    d.id = {job, index};
    d.queue = queue;
    d.recipient = fmt::format("recipient{}@domain{}.example", index, queue.low);
    d.vars = fmt::format("name=Recipient Number {};token={:032x}", index, index * 2654435761ULL);
    d.accepted = noon;
    d.due = noon + std::chrono::milliseconds(index);
    d.expires = noon + std::chrono::hours(72);
    return d;
}

Event event_of(Event::Type type, const Delivery& d) {
    Event e;
    e.type = type;
    e.time = noon;
    e.delivery = d.id;
    e.tenant = "acme";
    e.campaign = "november";
    e.from = "bounce@news.example.com";
    e.to = d.recipient;
    e.domain = d.recipient.substr(d.recipient.find('@') + 1);
    if (type == Event::Type::accepted) return e;
    e.site = "mx.example";
    e.provider = "example";
    e.mx = "mx1.example";
    e.ip = "192.0.2.1";
    e.source = "ip1";
    e.attempt = 1;
    e.code = 250;
    e.enhanced = "2.0.0";
    e.reply = "2.0.0 Ok: queued as 4F1B2C3D4E";
    e.tls = "TLSv1.3";
    return e;
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
        std::fputs("usage: bench-storage DIRECTORY [transactional|campaign|queues]...\n", stderr);
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
    return 0;
}

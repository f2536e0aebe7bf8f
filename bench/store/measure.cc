#include "bench/store/measure.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <fstream>

namespace bench {

using namespace storage;

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

}  // namespace bench

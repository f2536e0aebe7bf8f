#include "metrics/exposer.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "metrics/catalog.h"

namespace metrics {
namespace {

std::string get(uint16_t port, const std::string& path) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string answer;
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) {
        const std::string request = "GET " + path + " HTTP/1.0\r\nHost: x\r\n\r\n";
        EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
        char buffer[4096];
        for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;)
            answer.append(buffer, static_cast<size_t>(n));
    }
    close(fd);
    return answer;
}

/// A page as Prometheus would read it: every line checked, samples by "name{labels}".
struct Scrape {
    std::map<std::string, double> samples;
    std::map<std::string, std::string> types;
    std::set<std::string> helps;

    explicit Scrape(const Exposer& exposer) {
        const std::string answer = get(exposer.port(), "/metrics");
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer.substr(0, 100);
        std::istringstream body(answer.substr(answer.find("\r\n\r\n") + 4));
        for (std::string line; std::getline(body, line);) read_line(line);
    }
    void read_line(const std::string& line) {
        std::istringstream words(line);
        std::string hash, what, name, rest;
        if (line.starts_with("# ")) {
            words >> hash >> what >> name >> rest;
            ASSERT_TRUE(what == "HELP" || what == "TYPE") << line;
            if (what == "TYPE") {
                ASSERT_TRUE(types.emplace(name, rest).second) << "declared twice: " << name;
            } else {
                helps.insert(name);
            }
            return;
        }
        const size_t space = line.rfind(' ');
        ASSERT_NE(space, std::string::npos) << line;
        char* end = nullptr;
        const double value = std::strtod(line.c_str() + space + 1, &end);
        ASSERT_EQ(*end, '\0') << line;
        ASSERT_TRUE(samples.emplace(line.substr(0, space), value).second)
            << "twice on the page: " << line;
    }
    double operator[](const std::string& name) const {
        const auto it = samples.find(name);
        if (it == samples.end()) ADD_FAILURE() << "not on the page: " << name;
        return it == samples.end() ? -1 : it->second;
    }
};

std::unique_ptr<Exposer> started() {
    auto exposer = Exposer::start("127.0.0.1:0", "1.2.3");
    EXPECT_TRUE(exposer.has_value()) << exposer.error();
    return std::move(*exposer);
}

TEST(Exposer, AddsUpWhatTheShardsHoldUnderOneNameAndLabels) {
    Registry one, two;
    auto exposer = started();
    exposer->add(one);
    exposer->add(two);
    one.counter(catalog::messages_accepted, {"http"}).add(3);
    two.counter(catalog::messages_accepted, {"http"}).add(4);
    two.counter(catalog::messages_accepted, {"smtp"}).add(1);
    one.gauge(catalog::queue_messages, {"ready"}).set(10);
    two.gauge(catalog::queue_messages, {"ready"}).set(5);
    const Scrape page(*exposer);
    EXPECT_EQ(page[R"(sluice_messages_accepted_total{protocol="http"})"], 7);
    EXPECT_EQ(page[R"(sluice_messages_accepted_total{protocol="smtp"})"], 1);
    EXPECT_EQ(page[R"(sluice_queue_messages{state="ready"})"], 15);
}

TEST(Exposer, TakesTheLargestOfAgesInsteadOfTheirSum) {
    Registry one, two;
    auto exposer = started();
    exposer->add(one);
    exposer->add(two);
    one.gauge(catalog::queue_oldest).set(30);
    two.gauge(catalog::queue_oldest).set(50);
    EXPECT_EQ(Scrape(*exposer)["sluice_queue_oldest_seconds"], 50);
}

TEST(Exposer, ShowsNanosecondCountersInSeconds) {
    Registry shard;
    auto exposer = started();
    exposer->add(shard);
    shard.counter(catalog::shard_busy, {"0"}).add(2'500'000'000);
    EXPECT_DOUBLE_EQ(Scrape(*exposer)[R"(sluice_shard_busy_seconds_total{shard="0"})"], 2.5);
}

TEST(Exposer, MergesHistogramsIntoCumulativeBuckets) {
    Registry one, two;
    auto exposer = started();
    exposer->add(one);
    exposer->add(two);
    one.histogram(catalog::storage_commit_duration).observe(0.0015);
    two.histogram(catalog::storage_commit_duration).observe(0.3);
    two.histogram(catalog::storage_commit_duration).observe(100);
    const Scrape page(*exposer);
    EXPECT_EQ(page[R"(sluice_storage_commit_duration_seconds_bucket{le="0.001"})"], 0);
    EXPECT_EQ(page[R"(sluice_storage_commit_duration_seconds_bucket{le="0.002"})"], 1);
    EXPECT_EQ(page[R"(sluice_storage_commit_duration_seconds_bucket{le="0.5"})"], 2);
    EXPECT_EQ(page[R"(sluice_storage_commit_duration_seconds_bucket{le="+Inf"})"], 3);
    EXPECT_EQ(page["sluice_storage_commit_duration_seconds_count"], 3);
    EXPECT_NEAR(page["sluice_storage_commit_duration_seconds_sum"], 100.3015, 1e-9);
}

TEST(Exposer, TellsOfTheProcessAndTheVersion) {
    auto exposer = started();
    const Scrape page(*exposer);
    EXPECT_EQ(page[R"(sluice_build_info{version="1.2.3"})"], 1);
    EXPECT_GT(page["process_resident_memory_bytes"], 1e6);
    EXPECT_GE(page["process_cpu_seconds_total"], 0);
    EXPECT_GT(page["process_open_fds"], 3);
    EXPECT_GT(page["process_max_fds"], page["process_open_fds"]);
    EXPECT_GE(page["process_threads"], 2);
    const auto now = static_cast<double>(std::time(nullptr));
    EXPECT_NEAR(page["process_start_time_seconds"], now, 3600);
    EXPECT_EQ(page["sluice_log_lines_dropped_total"], page["sluice_log_lines_dropped_total"]);
}

TEST(Exposer, AsksItsHooksAtEveryScrape) {
    auto exposer = started();
    std::atomic<int> asked{0};
    exposer->on_scrape(
        [&](Registry& registry) { registry.gauge(catalog::storage_free).set(++asked * 100.0); });
    EXPECT_EQ(Scrape(*exposer)["sluice_storage_free_bytes"], 100);
    EXPECT_EQ(Scrape(*exposer)["sluice_storage_free_bytes"], 200);
}

TEST(Exposer, EscapesLabelValues) {
    Registry shard;
    auto exposer = started();
    exposer->add(shard);
    shard.counter(catalog::bounces, {"a\"b\\c\nd", "x"}).add();
    EXPECT_EQ(Scrape(*exposer)[R"(sluice_bounces_total{provider="a\"b\\c\nd",class="x"})"], 1);
}

TEST(Exposer, DeclaresEveryFamilyWithHelpAndType) {
    Registry shard;
    auto exposer = started();
    exposer->add(shard);
    shard.counter(catalog::smtp_replies, {"google", "rcpt", "550"}).add();
    shard.histogram(catalog::delivery_duration, {"bulk"}).observe(3);
    const Scrape page(*exposer);
    EXPECT_EQ(page.types.at("sluice_smtp_replies_total"), "counter");
    EXPECT_EQ(page.types.at("sluice_delivery_duration_seconds"), "histogram");
    for (const auto& [name, type] : page.types) EXPECT_TRUE(page.helps.contains(name)) << name;
}

TEST(Exposer, ServesWhileShardsCount) {
    Registry shards[2];
    auto exposer = started();
    for (const auto& r : shards) exposer->add(r);
    std::atomic<bool> stop{false};
    const auto work = [&](Registry& mine) {
        for (int i = 0; !stop; ++i) {
            mine.counter(catalog::smtp_replies, {"p" + std::to_string(i % 400), "rcpt", "250"})
                .add();
            mine.histogram(catalog::smtp_stage_duration, {"rcpt"}).observe(0.001 * (i % 10));
        }
    };
    std::thread one(work, std::ref(shards[0])), two(work, std::ref(shards[1]));
    double last = 0;
    for (int i = 0; i < 20; ++i) {
        const Scrape page(*exposer);
        const auto seen =
            page.samples.find(R"(sluice_smtp_stage_duration_seconds_count{stage="rcpt"})");
        if (seen == page.samples.end()) continue;
        EXPECT_GE(seen->second, last);
        last = seen->second;
    }
    stop = true;
    one.join();
    two.join();
}

TEST(Exposer, SaysInOneLineWhyItCannotListen) {
    auto first = started();
    const std::string taken = "127.0.0.1:" + std::to_string(first->port());
    auto second = Exposer::start(taken, "1");
    ASSERT_FALSE(second.has_value());
    EXPECT_THAT(second.error(),
                testing::AllOf(testing::HasSubstr(taken), testing::HasSubstr("in use"),
                               testing::HasSubstr("[listen] metrics")));
    EXPECT_EQ(second.error().find('\n'), std::string::npos);

    EXPECT_THAT(Exposer::start("localhost", "1").error(), testing::HasSubstr("write ip:port"));
    EXPECT_THAT(Exposer::start("127.0.0.1:99999", "1").error(),
                testing::HasSubstr("write ip:port"));
    EXPECT_THAT(Exposer::start("192.0.2.77:9125", "1").error(),
                testing::HasSubstr("no interface of this host"));
}

}  // namespace
}  // namespace metrics

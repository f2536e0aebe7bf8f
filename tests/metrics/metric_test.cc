#include "metrics/metric.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "metrics/catalog.h"
#include "metrics/series.h"

namespace metrics {
namespace {

constexpr Family replies{"test_replies_total", "Replies.", Kind::counter, {"stage", "code"}};
constexpr Family few{.name = "test_few_total",
                     .help = "Few.",
                     .kind = Kind::counter,
                     .labels = {"x"},
                     .series_max = 3};
constexpr double bounds[] = {1, 2, 5};
constexpr Family sizes{"test_sizes", "Sizes.", Kind::histogram, {}, bounds};

size_t series_count(const Registry& registry) {
    size_t n = 0;
    registry.state().each([&](const Series&) { ++n; });
    return n;
}

TEST(Registry, GivesTheSameSeriesForTheSameLabels) {
    Registry registry;
    Counter& first = registry.counter(replies, {"rcpt", "550"});
    first.add(2);
    EXPECT_EQ(&registry.counter(replies, {"rcpt", "550"}), &first);
    EXPECT_NE(&registry.counter(replies, {"rcpt", "250"}), &first);
    EXPECT_NE(&registry.counter(replies, {"550", "rcpt"}), &first);
    EXPECT_EQ(registry.counter(replies, {"rcpt", "550"}).value(), 2);
    EXPECT_EQ(series_count(registry), 3);
}

TEST(Registry, KeepsReferencesValidWhileItGrows) {
    Registry registry;
    Counter& first = registry.counter(replies, {"rcpt", "0"});
    for (int i = 1; i < 500; ++i) registry.counter(replies, {"rcpt", std::to_string(i)}).add();
    first.add(7);
    EXPECT_EQ(registry.counter(replies, {"rcpt", "0"}).value(), 7);
}

TEST(Registry, PutsWhatIsBeyondTheCapIntoOneSeriesNamedOther) {
    Registry registry;
    for (int i = 0; i < 100; ++i) registry.counter(few, {std::to_string(i)}).add();
    EXPECT_EQ(series_count(registry), 4);
    EXPECT_EQ(registry.counter(few, {"other"}).value(), 97);
    EXPECT_EQ(registry.counter(few, {"2"}).value(), 1);
}

TEST(Registry, HasACapOfItsOwnForEveryFamily) {
    Registry registry;
    for (int i = 0; i < 10; ++i) registry.counter(few, {std::to_string(i)}).add();
    registry.counter(replies, {"rcpt", "250"}).add();
    EXPECT_EQ(registry.counter(replies, {"rcpt", "250"}).value(), 1);
}

TEST(Histogram, PutsAValueIntoTheFirstBucketThatHoldsIt) {
    Registry registry;
    Histogram& h = registry.histogram(sizes);
    for (const double v : {0.5, 1.0, 1.5, 5.0, 6.0}) h.observe(v);
    const auto reading = h.read();
    EXPECT_EQ(reading.counts[0], 2);
    EXPECT_EQ(reading.counts[1], 1);
    EXPECT_EQ(reading.counts[2], 1);
    EXPECT_EQ(reading.counts[3], 1);
    EXPECT_DOUBLE_EQ(reading.sum, 14.0);
}

TEST(Registry, CanBeReadWhileItsOwnerAddsSeries) {
    Registry registry;
    std::atomic<bool> done{false};
    std::thread owner([&] {
        for (int i = 0; i < 900; ++i) {
            registry.counter(replies, {"rcpt", std::to_string(i)}).add();
            registry.histogram(sizes).observe(i % 7);
        }
        done = true;
    });
    size_t seen = 0;
    while (!done) {
        size_t now = 0;
        registry.state().each([&](const Series& s) {
            ++now;
            ASSERT_FALSE(std::string_view(s.family->name).empty());
            if (s.family == &replies) {
                ASSERT_EQ(s.labels.size(), 2);
            }
        });
        ASSERT_GE(now, seen);
        seen = now;
    }
    owner.join();
    EXPECT_EQ(series_count(registry), 901);
}

TEST(RegistryDeathTest, RefusesTheWrongNumberOfLabels) {
    Registry registry;
    EXPECT_DEATH(registry.counter(replies, {"rcpt"}), "wrong number of labels");
}

}  // namespace
}  // namespace metrics

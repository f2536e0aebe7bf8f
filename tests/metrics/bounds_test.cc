// Storms of label values, as strangers or a careless configuration could cause them.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "metrics/catalog.h"
#include "metrics/series.h"

namespace metrics {
namespace {

std::map<std::string, size_t> series_by_family(const Registry& registry) {
    std::map<std::string, size_t> count;
    registry.state().each([&](const Series& series) { ++count[series.family->name]; });
    return count;
}

TEST(Bounds, AStormOfProvidersCodesAndClassesEndsAtTheLimitOfTheFamily) {
    Registry registry;
    uint64_t counted = 0;
    for (int provider = 0; provider < 300; ++provider) {
        for (int code = 0; code < 60; ++code, ++counted) {
            const std::string name = "p" + std::to_string(provider), word = std::to_string(code);
            registry.counter(catalog::smtp_replies, {name, "rcpt", word}).add();
            registry.counter(catalog::bounces, {name, word}).add();
            registry.counter(catalog::delivery_attempts, {name, word}).add();
        }
    }
    const auto series = series_by_family(registry);
    EXPECT_EQ(series.at("sluice_smtp_replies_total"), catalog::provider_series_max + 1);
    EXPECT_EQ(series.at("sluice_bounces_total"), catalog::provider_series_max + 1);
    EXPECT_EQ(series.at("sluice_delivery_attempts_total"), 1001u);
    // What is beyond the limit is still counted.
    EXPECT_EQ(registry.counter(catalog::bounces, {"other", "other"}).value(),
              counted - catalog::provider_series_max);
}

TEST(Bounds, TwoHundredProvidersFitWithoutOther) {
    Registry registry;
    const std::string stages[] = {"connect", "banner", "ehlo", "mail", "rcpt", "data", "body"};
    for (int provider = 0; provider < 200; ++provider) {
        const std::string name = "p" + std::to_string(provider);
        for (const std::string& stage : stages)
            for (const char* code : {"250", "421", "450", "451", "550"})
                registry.counter(catalog::smtp_replies, {name, stage, code}).add();
        for (int klass = 0; klass < 25; ++klass)
            registry.counter(catalog::bounces, {name, std::to_string(klass)}).add();
        for (const char* outcome : {"delivered", "bounced", "expired", "cancelled", "suppressed"})
            registry.counter(catalog::messages_completed, {name, outcome}).add();
    }
    registry.state().each([](const Series& series) {
        for (const std::string& value : series.labels) EXPECT_NE(value, "other");
    });
}

}  // namespace
}  // namespace metrics

#include "engine/delivery/outcome_metrics.h"

#include <gtest/gtest.h>

#include <set>

#include "metrics/catalog.h"
#include "metrics/series.h"

namespace engine {
namespace {

Decision bounced(uint32_t code) {
    Decision decision;
    decision.terms.queue = std::make_shared<const storage::QueueInfo>();
    decision.event.type = storage::Event::Type::bounced;
    decision.event.provider = "google";
    decision.event.stage = "rcpt";
    decision.event.code = static_cast<decltype(decision.event.code)>(code);
    decision.event.bounce_class = "other";
    return decision;
}

std::set<std::string> codes_on_the_page(const metrics::Registry& registry) {
    std::set<std::string> codes;
    registry.state().each([&](const metrics::Series& series) {
        if (series.family == &metrics::catalog::smtp_replies) codes.insert(series.labels[2]);
    });
    return codes;
}

TEST(OutcomeMetrics, AReceiverThatInventsCodesAddsNoSeriesForEach) {
    metrics::Registry registry;
    OutcomeMetrics counts(registry);
    for (uint32_t code = 200; code < 700; ++code) counts.count(bounced(code), {});
    const auto codes = codes_on_the_page(registry);
    EXPECT_LE(codes.size(), 40u);
    EXPECT_TRUE(codes.contains("550"));
    EXPECT_TRUE(codes.contains("5xx"));
    EXPECT_TRUE(codes.contains("other"));
    EXPECT_FALSE(codes.contains("599"));
}

TEST(OutcomeMetrics, AnInventedCodeIsCountedByItsFirstDigit) {
    metrics::Registry registry;
    OutcomeMetrics counts(registry);
    counts.count(bounced(550), {});
    counts.count(bounced(598), {});
    counts.count(bounced(599), {});
    const auto replies = [&](const char* code) {
        return registry.counter(metrics::catalog::smtp_replies, {"google", "rcpt", code}).value();
    };
    EXPECT_EQ(replies("550"), 1u);
    EXPECT_EQ(replies("5xx"), 2u);
}

}  // namespace
}  // namespace engine

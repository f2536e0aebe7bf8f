#include "engine/delivery/limits.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

using namespace std::chrono_literals;

LimitOrigins all_from(const std::string& place) {
    LimitOrigins origins;
    origins.fill(place);
    return origins;
}

TEST(Limits, ALayerGoesBeforeWhatIsBelowKeyByKey) {
    Limits limits;
    LimitLayer layer;
    layer.connections = 50;
    layer.origins = all_from("a:1");
    layer.lie_on(limits);
    EXPECT_EQ(limits.connections, 50) << "more than the default";
    EXPECT_EQ(limits.origin(LimitKey::connections), "a:1");
    EXPECT_EQ(limits.messages_per_connection, 100);
    EXPECT_EQ(limits.origin(LimitKey::messages_per_connection), "") << "not set there";
}

TEST(Limits, ASourceCanOnlyBeStricter) {
    Limits limits;
    limits.connections = 5;
    limits.rate_per_second = 0;  // no limit
    limits.messages_per_connection = 0;
    limits.idle = 30s;
    limits.origins = all_from("provider:1");
    LimitLayer source;
    source.connections = 20;
    source.rate_per_second = 10;
    source.messages_per_connection = 7;
    source.recipients_per_transaction = 0;
    source.idle = 10s;
    source.origins = all_from("source:1");
    source.tighten(limits);
    EXPECT_EQ(limits.connections, 5) << "the provider's is the stricter one";
    EXPECT_EQ(limits.origin(LimitKey::connections), "provider:1");
    EXPECT_EQ(limits.rate_per_second, 10);
    EXPECT_EQ(limits.origin(LimitKey::rate), "source:1");
    EXPECT_EQ(limits.messages_per_connection, 7);
    EXPECT_EQ(limits.recipients_per_transaction, 50) << "0 is no limit";
    EXPECT_EQ(limits.idle, 10s);
}

}  // namespace
}  // namespace engine

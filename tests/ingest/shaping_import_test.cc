#include "ingest/shaping_import.h"

#include <gmock/gmock.h>

#include <fstream>

#include "ingest/shaping_values.h"

namespace ingest {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view shaping = R"toml(
["default"]
connection_limit = 12
max_message_rate = "40/s"
idle_timeout = "45s"
data_timeout = "30s"

[provider."big box"]
match = [{MXSuffix=".mx.bigbox.test"}, {MXSuffix=".bigbox.example"}]
connection_limit = "local:7"
max_deliveries_per_connection = 30
max_connection_rate = "1,200/hr"
enable_tls = "Required"
provider_connection_limit = 3

[[provider."big box".automation]]
regex = ["too (many|fast)", 'slow down\.']
action = [{SetConfig={name="max_message_rate", value="1/minute"}}, {SetConfig={name="enable_tls", value="Disabled"}}]
trigger = {Threshold="3/min"}
duration = "1h 30min"

[[provider."big box".automation]]
regex = "blocked for now"
action = "Suspend"
duration = "2 hours"

[[provider."big box".automation]]
regex = "(?<=no )lookbehind"
action = "Suspend"
duration = "1 day"

[provider."by name"]
match = [{DomainSuffix=".shop.test"}]

["small.test"]
mx_rollup = false
connection_limit = 2
max_message_rate = "5/2min"

[["small.test".automation]]
regex = "later"
action = "SuspendTenant"
duration = "1h"

["small.test".sources."ip7"]
connection_limit = 1
)toml";

Config read_back(const ShapingImport& made) {
    const std::string folder = testing::TempDir();
    std::ofstream(folder + "/imported.toml") << made.toml;
    auto config =
        parse_config("[delivery]\nprovider_files = [\"imported.toml\"]\n", folder + "/sluice.toml");
    if (!config) {
        ADD_FAILURE() << to_string(config.error().front()) << "\n" << made.toml;
        return {};
    }
    return *config;
}

TEST(ShapingImport, MakesAFileThatOurConfigurationTakes) {
    const auto made = import_kumo_shaping(shaping, "shaping.toml");
    ASSERT_TRUE(made);
    const Config config = read_back(*made);
    ASSERT_EQ(config.delivery.providers.size(), 1u);
    const engine::Provider& box = config.delivery.providers.front();
    EXPECT_EQ(box.name, "big-box");
    EXPECT_THAT(box.mx_suffix, ElementsAre(".mx.bigbox.test", ".bigbox.example"));
    EXPECT_EQ(box.limits.connections, 7u);
    EXPECT_EQ(box.limits.messages_per_connection, 30u);
    EXPECT_DOUBLE_EQ(box.limits.connection_rate_per_second.value_or(0), 1200.0 / 3600);
    EXPECT_EQ(box.total.connections, 3u);
    EXPECT_EQ(box.limits.tls, engine::TlsPolicy::verified);
}

TEST(ShapingImport, TakesRulesOverAsFarAsWeHaveTheirActions) {
    const auto made = import_kumo_shaping(shaping, "shaping.toml");
    ASSERT_TRUE(made);
    const Config config = read_back(*made);
    ASSERT_EQ(config.delivery.automation.size(), 2u);
    const engine::AutomationRule& slow = config.delivery.automation[0];
    EXPECT_EQ(slow.action, engine::AutomationRule::Action::slow);
    EXPECT_EQ(slow.provider, "big-box");
    EXPECT_EQ(slow.count, 3u);
    EXPECT_EQ(slow.within, 1min);
    EXPECT_EQ(slow.duration, 90min);
    const engine::AutomationRule& rest = config.delivery.automation[1];
    EXPECT_EQ(rest.action, engine::AutomationRule::Action::rest_source);
    EXPECT_EQ(rest.count, 1u);
}

TEST(ShapingImport, DomainsKeepTheirLimits) {
    const auto made = import_kumo_shaping(shaping, "shaping.toml");
    ASSERT_TRUE(made);
    const Config config = read_back(*made);
    ASSERT_EQ(config.delivery.domains.size(), 1u);
    EXPECT_EQ(config.delivery.domains[0].name, "small.test");
    EXPECT_EQ(config.delivery.domains[0].limits.connections, 2u);
    EXPECT_DOUBLE_EQ(config.delivery.domains[0].limits.rate_per_second.value_or(0), 150.0 / 3600);
}

TEST(ShapingImport, SaysOfEachThingThatItLeavesOutWhereItIsAndWhy) {
    const auto made = import_kumo_shaping(shaping, "shaping.toml");
    ASSERT_TRUE(made);
    for (const std::string_view word : {"data_timeout", "lookbehind", "enable_tls", "DomainSuffix",
                                        "automation of [\"small.test\"]", "ip7", "[\"default\"]"})
        EXPECT_THAT(made->warnings, Contains(HasSubstr(word))) << word;
    EXPECT_THAT(made->warnings, Contains(testing::StartsWith("shaping.toml:16: ")));
    EXPECT_THAT(made->toml, HasSubstr("# NOT TAKEN OVER: "));
    EXPECT_THAT(made->toml, HasSubstr("#     connections = 12"));
    EXPECT_THAT(made->warnings, Not(Contains(HasSubstr("mx_rollup"))));
}

TEST(ShapingImport, RefusesWhatIsNoShapingFile) {
    const auto no_toml = import_kumo_shaping("a = [", "x.toml");
    ASSERT_FALSE(no_toml);
    EXPECT_EQ(no_toml.error().line, 1u);
    const auto other = import_kumo_shaping("provider = 3\n", "x.toml");
    ASSERT_FALSE(other);
    EXPECT_THAT(other.error().what, HasSubstr("provider is no section"));
}

TEST(ShapingValues, AreReadAsTheyAreWritten) {
    EXPECT_EQ(rate_text(*parse_shaping_rate("100/min")), "100/m");
    EXPECT_EQ(rate_text(*parse_shaping_rate("10,000/h")), "10000/h");
    EXPECT_EQ(rate_text(*parse_shaping_rate("240/day")), "10/h");
    EXPECT_TRUE(parse_shaping_rate("local:5/s")->per_node);
    EXPECT_FALSE(parse_shaping_rate("5"));
    EXPECT_FALSE(parse_shaping_rate("0/s"));
    EXPECT_FALSE(parse_shaping_rate("5/fortnight"));
    EXPECT_EQ(parse_shaping_duration("30 days"), std::optional<std::chrono::milliseconds>(720h));
    EXPECT_EQ(parse_shaping_duration("90m"), std::optional<std::chrono::milliseconds>(90min));
    EXPECT_FALSE(parse_shaping_duration("soon"));
    EXPECT_EQ(parse_shaping_count("7,000"), std::optional<uint64_t>(7000));
    EXPECT_FALSE(parse_shaping_count("many"));
}

}  // namespace
}  // namespace ingest

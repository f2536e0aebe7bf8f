#include "ingest/config_change.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "ingest/config_watch.h"
#include "ingest/reload.h"
#include "ingest/setting.h"

namespace ingest {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

Config config_of(std::string_view text) {
    auto config = parse_config(text, "sluice.toml");
    if (!config) ADD_FAILURE() << to_string(config.error().front());
    return config.value_or(Config{});
}

std::vector<std::string> names_of(const std::vector<ConfigChange>& changes) {
    std::vector<std::string> all;
    for (const ConfigChange& change : changes) all.push_back(change.name);
    return all;
}

TEST(ConfigChange, IsAnotherValueAndNotAnotherLine) {
    const Config now = config_of("[retry]\nexpires = \"1h\"\n");
    EXPECT_THAT(changes_between(now, config_of("\n\n[retry]\nexpires = \"1h\"\n")), IsEmpty());
    const auto changes = changes_between(now, config_of("[retry]\n\nexpires = \"2h\"\n"));
    ASSERT_EQ(changes.size(), 1u);
    EXPECT_EQ(changes[0].old_value, "\"1h\"");
    EXPECT_EQ(changes[0].old_origin, "sluice.toml:2");
    EXPECT_EQ(changes[0].value, "\"2h\"");
    EXPECT_EQ(changes[0].origin, "sluice.toml:3");
    EXPECT_FALSE(changes[0].needs_restart);
}

TEST(ConfigChange, TellsWhatIsNewAndWhatIsGone) {
    const Config now =
        config_of("[[provider]]\nname = \"a\"\nmx_suffix = [\".a.test\"]\nrate = \"1/s\"\n");
    const Config next =
        config_of("[[provider]]\nname = \"a\"\nmx_suffix = [\".a.test\"]\nconnections = 2\n");
    const auto changes = changes_between(now, next);
    EXPECT_THAT(names_of(changes), ElementsAre("provider.a.connections", "provider.a.rate"));
    EXPECT_EQ(changes[0].old_value, "");
    EXPECT_EQ(changes[1].value, "");
}

TEST(ConfigChange, IsSeenInSecretsAndNotShown) {
    const std::string a(64, 'a'), b(64, 'b');
    const auto changes =
        changes_between(config_of("[[tenant]]\nname = \"t\"\napi_key_sha256 = \"" + a + "\"\n"),
                        config_of("[[tenant]]\nname = \"t\"\napi_key_sha256 = \"" + b + "\"\n"));
    EXPECT_THAT(names_of(changes), ElementsAre("tenant.t.api_key_sha256"));
    EXPECT_EQ(changes[0].value, "\"(hidden)\"");
}

TEST(ConfigChange, WaitsForARestartWithTheValueThatIsInForce) {
    const Config now = config_of("[node]\nname = \"a.test.example\"\nshards = 3\n");
    Config next = config_of(
        "[node]\nname = \"b.test.example\"\nlog_dir = \"/elsewhere\"\n[retry]\nexpires = \"2h\"\n");
    const auto changes = changes_between(now, next);
    EXPECT_EQ(std::ranges::count(changes, true, &ConfigChange::needs_restart), 3);
    keep_until_restart(next, now, changes);
    EXPECT_EQ(next.delivery.node_name, "a.test.example");
    EXPECT_EQ(next.shards, 3u);
    EXPECT_EQ(next.log_dir, "");
    EXPECT_EQ(next.delivery.expires, std::chrono::hours(2));
    EXPECT_THAT(names_of(changes_between(now, next)), ElementsAre("retry.expires"));
    const auto shards = std::ranges::find(next.effective, "node.shards", &Config::Effective::name);
    ASSERT_NE(shards, next.effective.end());
    EXPECT_EQ(shards->origin, "sluice.toml:3");
}

TEST(ConfigChange, OfEntriesThatComeManyTimesNeedsARestartForWebhooksOnly) {
    for (const Setting& setting : settings()) {
        if (!is_repeated(setting.section)) continue;
        EXPECT_EQ(setting.reload == Setting::Reload::restart, setting.section == "webhook")
            << setting.section << "." << setting.key;
    }
}

TEST(ConfigChange, KeepsWebhooksAsTheyAreUntilARestart) {
    const auto with = [](std::string_view url) {
        return config_of(fmt::format("[[webhook]]\nname = \"a\"\nurl = \"{}\"\n", url));
    };
    const Config now = with("https://hooks.example/a");
    Config next = with("https://hooks.example/b");
    const auto changes = changes_between(now, next);
    ASSERT_THAT(names_of(changes), ElementsAre("webhook.a.url"));
    EXPECT_TRUE(changes[0].needs_restart);
    keep_until_restart(next, now, changes);
    EXPECT_THAT(changes_between(now, next), IsEmpty());
    ASSERT_EQ(next.webhooks.size(), 1u);
    EXPECT_EQ(next.webhooks[0].url, now.webhooks[0].url);
    Config without = config_of("");
    keep_until_restart(without, now, changes_between(now, without));
    EXPECT_THAT(changes_between(now, without), IsEmpty());
    EXPECT_EQ(without.webhooks.size(), 1u);
}

/// A folder with a configuration that is read from a file.
class Reading : public testing::Test {
  protected:
    Reading() : folder_(testing::TempDir() + "/reading") {
        std::filesystem::remove_all(folder_);
        std::filesystem::create_directories(folder_);
    }
    std::string write(const std::string& name, std::string_view text) {
        std::ofstream(folder_ / name) << text;
        return (folder_ / name).string();
    }
    std::filesystem::path folder_;
};

TEST_F(Reading, AnewChangesNothingWhenAnythingIsWrong) {
    const auto now = load_config(write("sluice.toml", "[node]\nname = \"a.test.example\"\n"));
    ASSERT_TRUE(now);
    write("sluice.toml", "[retry]\nexpires = \"soon\"\n[dns]\nserver = []\n");
    const auto read = read_anew(*now);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().size(), 2u);
    EXPECT_EQ(read.error()[0].line, 2u);
}

TEST_F(Reading, AnewNamesFilesWhoseContentsAreOthers) {
    write("rules.toml", "[[provider]]\nname = \"a\"\nmx_suffix = [\".a.test\"]\n");
    const auto now =
        load_config(write("sluice.toml", "[delivery]\nprovider_files = [\"rules.toml\"]\n"));
    ASSERT_TRUE(now);
    write("rules.toml",
          "# new\n[[provider]]\nname = \"a\"\nmx_suffix = [\".a.test\"]\nrate = \"1/s\"\n");
    const auto read = read_anew(*now);
    ASSERT_TRUE(read);
    EXPECT_THAT(names_of(read->changes), ElementsAre("provider.a.rate"));
    EXPECT_THAT(read->files, ElementsAre(HasSubstr("rules.toml")));
    EXPECT_NE(read->config->hash(), now->hash());
}

TEST_F(Reading, AnewIsRefusedWhenAKeyCannotBeRead) {
    const auto now = load_config(write("sluice.toml", ""));
    ASSERT_TRUE(now);
    write("sluice.toml",
          "[[dkim]]\ndomain = \"a.example\"\nselector = \"s\"\nkey = \"/nowhere.pem\"\n");
    const auto read = read_anew(*now);
    ASSERT_FALSE(read);
    EXPECT_THAT(read.error().front().what, HasSubstr("/nowhere.pem"));
}

TEST_F(Reading, IsWantedOnceAFileHasChangedAndIsStill) {
    const auto config = load_config(write("sluice.toml", "[retry]\nexpires = \"1h\"\n"));
    ASSERT_TRUE(config);
    ConfigWatch watch(*config);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(watch.has_changed(*config));
    write("sluice.toml", "[retry]\nexpires = \"200h\"\n");
    EXPECT_FALSE(watch.has_changed(*config)) << "somebody may still write";
    EXPECT_TRUE(watch.has_changed(*config));
    EXPECT_FALSE(watch.has_changed(*config)) << "told once";
}

TEST_F(Reading, IsNotWantedForAFileThatWasOnlyTouched) {
    const std::string path = write("sluice.toml", "[retry]\nexpires = \"1h\"\n");
    const auto config = load_config(path);
    ASSERT_TRUE(config);
    ConfigWatch watch(*config);
    EXPECT_FALSE(watch.has_changed(*config));
    std::filesystem::last_write_time(
        path, std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(watch.has_changed(*config));
}

}  // namespace
}  // namespace ingest

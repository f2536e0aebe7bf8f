// Suppression lists as the engine asks them: which addresses are the same, and what a damaged block
// leaves unknown.
#include "engine/delivery/suppressed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "tests/storage/support/records.h"

namespace engine {
namespace {

namespace fs = std::filesystem;
using storage::tests::open_or_fail;

TEST(Suppressed, AddressesAreComparedWithoutCaseAndByTheRoutingDomain) {
    EXPECT_EQ(suppressed_form("Ann.B@BÜCHER.example", "xn--bcher-kva.example"),
              "ann.b@xn--bcher-kva.example");
    EXPECT_EQ(suppressed_form("\"a@b\"@x.test", "x.test"), "\"a@b\"@x.test");
}

class SuppressedOnDisk : public ::testing::Test {
  protected:
    static constexpr size_t count = 3000;

    void SetUp() override {
        std::mt19937 random(1);
        std::vector<storage::Suppression> entries;
        for (size_t i = 0; i < count; ++i) {
            addresses.push_back("user" + std::to_string(i) + "@x.test");
            storage::Suppression& entry = entries.emplace_back();
            entry.tenant = "acme";
            entry.address = addresses.back();
            for (int j = 0; j < 60; ++j) entry.reason.push_back(static_cast<char>(random()));
        }
        auto store = open_or_fail({.data_dir = data()});
        ASSERT_TRUE(store->suppress(entries));
        store.reset();
        (void)open_or_fail({.data_dir = data()});  // writes the log into tables
    }
    fs::path data() const { return directory.path() / "data"; }

    void damage_the_list() {
        fs::path table;  // there is next to nothing else
        for (const auto& entry : fs::directory_iterator(data() / "rocksdb"))
            if (entry.path().extension() == ".sst" &&
                (table.empty() || entry.file_size() > fs::file_size(table)))
                table = entry.path();
        std::fstream file(table, std::ios::in | std::ios::out | std::ios::binary);
        const auto middle = static_cast<std::streamoff>(fs::file_size(table) / 2);
        file.seekg(middle);
        const auto turned = static_cast<char>(file.get() ^ 1);
        file.seekp(middle);
        file.put(turned);
    }

    storage::tests::TemporaryDirectory directory;
    std::vector<std::string> addresses;
};

TEST_F(SuppressedOnDisk, OnlyWhatStandsInADamagedBlockIsUnknown) {
    damage_the_list();
    auto store = open_or_fail({.data_dir = data()});
    const auto listed = look_up(*store, "acme", addresses);
    ASSERT_TRUE(listed) << listed.error().what;
    const auto yes = std::ranges::count(*listed, Listed::yes);
    const auto unreadable = std::ranges::count(*listed, Listed::unreadable);
    EXPECT_EQ(yes + unreadable, static_cast<ptrdiff_t>(count));
    EXPECT_GT(unreadable, 0);
    EXPECT_LT(unreadable, 400);
    EXPECT_GT(store->unreadable(), 0U);
    // Who is on no list is hardly ever taken for one who may be: the filter says no.
    std::vector<std::string> others;
    for (size_t i = 0; i < count; ++i) others.push_back("other" + std::to_string(i) + "@x.test");
    const auto free = look_up(*store, "acme", others);
    EXPECT_GT(std::ranges::count(*free, Listed::no), static_cast<ptrdiff_t>(count) - 30);
}

TEST_F(SuppressedOnDisk, FindsWhatIsThereAndNothingElse) {
    auto store = open_or_fail({.data_dir = data()});
    const auto listed = look_up(*store, "acme", {addresses[7], "nobody@x.test", addresses[2999]});
    EXPECT_EQ(*listed, (std::vector{Listed::yes, Listed::no, Listed::yes}));
    EXPECT_EQ(*look_up(*store, "other", {addresses[7]}), std::vector{Listed::no});
}

}  // namespace
}  // namespace engine

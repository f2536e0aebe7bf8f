// A store of two jobs, damage planted in it, and what fsck finds and mends.
#pragma once

#include <gmock/gmock.h>
#include <rocksdb/db.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "storage/families.h"
#include "storage/fsck.h"
#include "storage/keys.h"
#include "storage/ledger.h"
#include "tests/storage/support/records.h"
#include "tests/storage/support/workload.h"

namespace storage::tests {

constexpr QueueId queue{1, 1};

class FsckTest : public ::testing::Test {
  protected:
    void SetUp() override {
        auto store = open_or_fail({.data_dir = data()});
        commit_or_fail(*store, first, 1);
        commit_or_fail(*store, second, 2);
        commit_or_fail(*store, finish(first.puts[0]), 3);
        commit_or_fail(*store, defer(first.puts[1], noon + std::chrono::minutes(1)), 4);
        Batch keyed;
        keyed.idempotency.push_back(
            {.tenant = "acme", .key = "k1", .digest = "d", .answer = "a", .expires = noon});
        commit_or_fail(*store, keyed, 5);
        const std::array entries{
            Suppression{.tenant = "acme", .address = "a@x.test", .reason = "asked"},
            Suppression{.tenant = "acme", .address = "b@x.test", .reason = "asked"}};
        ASSERT_TRUE(store->suppress(entries));
    }
    std::filesystem::path data() const { return directory.path() / "data"; }

    /// Writes into the database as no store would.
    void plant(
        const std::function<void(rocksdb::DB&, const std::vector<rocksdb::ColumnFamilyHandle*>&)>&
            damage) {
        rocksdb::DB* db = nullptr;
        std::vector<rocksdb::ColumnFamilyHandle*> families;
        auto descriptors = family_descriptors(8 << 20);
        for (auto& one : descriptors) one.options.disable_auto_compactions = true;
        const auto status = rocksdb::DB::Open(
            database_options(8 << 20), (data() / "rocksdb").string(), descriptors, &families, &db);
        ASSERT_TRUE(status.ok()) << status.ToString();
        damage(*db, families);
        for (auto* handle : families) (void)db->DestroyColumnFamilyHandle(handle);
        delete db;
    }
    void put(Family f, const std::string& key, std::string_view value) {
        plant([&](rocksdb::DB& db, const auto& families) {
            (void)db.Put({}, families[static_cast<size_t>(f)], key,
                         rocksdb::Slice(value.data(), value.size()));
        });
    }
    void remove(Family f, const std::string& key) {
        plant([&](rocksdb::DB& db, const auto& families) {
            (void)db.Delete({}, families[static_cast<size_t>(f)], key);
        });
    }

    FsckReport check(bool repair = false) {
        auto report =
            fsck({.data_dir = data(),
                  .repair = repair,
                  .now = noon + std::chrono::hours(1),
                  .domain_of = [](const std::string& to) { return to.substr(to.find('@') + 1); }});
        if (!report) throw std::runtime_error(report.error().what);
        return *report;
    }
    /// Found as `kind` with these words; after a repair nothing is left, and a store agrees.
    FsckReport find_and_mend(FsckFinding::Kind kind, const std::string& words) {
        const FsckReport found = check();
        EXPECT_FALSE(found.sound());
        EXPECT_THAT(found.found,
                    ::testing::Contains(testing::AllOf(
                        testing::Field(&FsckFinding::kind, kind),
                        testing::Field(&FsckFinding::what, ::testing::HasSubstr(words)))));
        FsckReport mended = check(true);
        EXPECT_THAT(mended.left, ::testing::IsEmpty())
            << (mended.left.empty() ? "" : mended.left[0].what);
        EXPECT_THAT(mended.done, ::testing::Not(::testing::IsEmpty()));
        EXPECT_TRUE(check().sound());
        auto store = open_or_fail({.data_dir = data()});
        const auto rows = static_cast<uint64_t>(rows_of(*store));
        EXPECT_EQ(store->ledger().at("acme").open(), rows);
        return mended;
    }
    static size_t rows_of(Store& store) {
        size_t rows = 0;
        for (const auto& [id, info] : store.queues().value())
            rows += store.read_queue(id, std::nullopt, SIZE_MAX)->size();
        return rows;
    }
    std::vector<Event::Type> story(DeliveryId id) {
        auto store = open_or_fail({.data_dir = data()});
        std::vector<Event::Type> types;
        for (const Event& event : store->events_of(id, 100).value()) types.push_back(event.type);
        return types;
    }

    TemporaryDirectory directory;
    const Batch first = accept_all(make_job(job_id(1), "small"), 3, queue);
    const Batch second = accept_all(make_job(job_id(2), std::string(40'000, 'b')), 2, {2, 2});
    const DeliveryKey waiting = key_of(first.puts[2]);
};

inline void turn_a_bit_of(const std::filesystem::path& path, uint64_t at, int bit = 4) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const auto turned = static_cast<char>(file.get() ^ bit);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(turned);
    file.close();
    ASSERT_TRUE(file) << path;
}

}  // namespace storage::tests

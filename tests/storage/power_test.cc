// After a power cut every acknowledged commit is there as a whole, and one that was not
// acknowledged is there as a whole or not at all.
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "storage/store.h"
#include "tests/storage/support/faulty_fs.h"
#include "tests/storage/support/records.h"
#include "tests/storage/support/workload.h"

namespace storage {
namespace {

using namespace storage::tests;

struct Machine {
    TemporaryDirectory directory;
    std::shared_ptr<FaultyFs> disk = std::make_shared<FaultyFs>();

    StoreOptions options() const {
        // As little memory as makes tables, and not only the log, part of what is cut.
        return {.data_dir = directory.path() / "data",
                .memory_bytes = size_t{1} << 20,
                .file_system = disk};
    }
};

using Group = std::vector<Batch>;

Image with(Image image, const Group& group) {
    for (const Batch& batch : group) image.apply(batch);
    return image;
}

// Commits until the power goes or `groups` are done; the group that then was under way is in doubt.
Group work(Store& store, Workload& workload, int groups) {
    for (int i = 1; i <= groups; ++i) {
        Group group = workload.next();
        if (!store.commit(group, 0, static_cast<uint64_t>(i))) return group;
        workload.acknowledged(group);
    }
    return {};
}

// Opens, works, loses power, several times over on the same disk. Returns how often power was lost.
int run_until_broken(uint64_t seed) {
    Machine machine;
    Workload workload(seed);
    int cuts = 0;
    auto store = Store::open(machine.options());
    for (int round = 0; round < 4 && !::testing::Test::HasFailure(); ++round) {
        machine.disk->cut_power_at(machine.disk->operations() + 1 + workload.random()() % 120);
        const Group doubt = work(**store, workload, 40);
        if (workload.random()() % 4 == 0) (void)(*store)->collect(noon);  // may lose its power too
        cuts += machine.disk->powered() ? 0 : 1;
        machine.disk->cut_power();
        store->reset();
        machine.disk->restore_power(workload.random());
        store = Store::open(machine.options());
        if (!store) {
            ADD_FAILURE() << "seed " << seed << " round " << round << ": " << store.error().what;
            break;
        }
        const Image found = image_of(**store);
        const bool absent = found == workload.image();
        const bool whole = found == with(workload.image(), doubt);
        EXPECT_TRUE(absent || whole) << "seed " << seed << " round " << round;
        if (whole && !absent) workload.acknowledged(doubt);
        workload.forget_doubt();
    }
    return cuts;
}

TEST(PowerCut, LosesNothingThatWasAcknowledged) {
    // RocksDB sleeps a second after a background write that failed, so each cut costs one.
    const uint64_t seeds = std::getenv("SLUICE_LONG") ? 300 : 10;
    int cuts = 0;
    for (uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) cuts += run_until_broken(seed);
    EXPECT_GT(cuts, 2 * static_cast<int>(seeds));
}

TEST(PowerCut, LeavesTheCommitsOfSeveralThreadsWholeOrAbsent) {
    for (uint64_t seed = 1; seed <= 10 && !HasFailure(); ++seed) {
        Machine machine;
        auto store = open_or_fail(machine.options());
        machine.disk->cut_power_at(machine.disk->operations() + 5 + seed * 7);
        constexpr uint16_t lanes = 3;
        std::vector<Workload> workloads;
        for (uint16_t lane = 0; lane < lanes; ++lane)
            workloads.emplace_back(seed * 100 + lane, lane);
        std::vector<Group> doubts(lanes);
        {
            std::vector<std::jthread> threads;
            for (uint16_t lane = 0; lane < lanes; ++lane)
                threads.emplace_back(
                    [&, lane] { doubts[lane] = work(*store, workloads[lane], 60); });
        }
        machine.disk->cut_power();
        store.reset();
        machine.disk->restore_power(workloads[0].random());
        store = open_or_fail(machine.options());
        const Image found = image_of(*store);
        bool explained = false;
        for (unsigned kept = 0; kept < 1U << lanes && !explained; ++kept) {
            Image want;
            for (uint16_t lane = 0; lane < lanes; ++lane) {
                const Image& sure = workloads[lane].image();
                const Image all = kept >> lane & 1 ? with(sure, doubts[lane]) : sure;
                want.rows.insert(all.rows.begin(), all.rows.end());
                want.stories.insert(all.stories.begin(), all.stories.end());
            }
            explained = found == want;
        }
        EXPECT_TRUE(explained) << "seed " << seed;
    }
}

}  // namespace
}  // namespace storage

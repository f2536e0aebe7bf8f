// After a power cut every acknowledged commit is there as a whole, and one that was not
// acknowledged is there as a whole or not at all.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "storage/store.h"
#include "tests/storage/support/faulty_fs.h"
#include "tests/storage/support/records.h"
#include "tests/storage/support/sleepless.h"
#include "tests/storage/support/workload.h"

namespace storage {
namespace {

using namespace storage::tests;

struct Machine {
    TemporaryDirectory directory;
    std::shared_ptr<FaultyFs> disk = std::make_shared<FaultyFs>();
    Sleepless sleepless{disk};

    StoreOptions options() const {
        // As little memory as makes tables, and not only the log, part of what is cut.
        return {.data_dir = directory.path() / "data",
                .memory_bytes = size_t{1} << 20,
                .file_system = disk,
                .adjust = sleepless};
    }
};

#if __has_feature(address_sanitizer)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

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
    const uint64_t seeds = std::getenv("SLUICE_LONG") ? 3000 : 40;
    int cuts = 0;
    for (uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) cuts += run_until_broken(seed);
    EXPECT_GT(cuts, 2 * static_cast<int>(seeds));
}

// 2,000 messages come in groups, are put off once in three times, and end. The same in every run,
// so that the power can be cut at one sync after the other.
class SteadyRun {
  public:
    static constexpr uint32_t messages = 2000, per_group = 40;

    /// Goes on to the end or to the first commit that fails; that one is in doubt.
    Group play(Store& store, Image& sure) {
        std::vector<Delivery> open;
        for (uint32_t at = 0; at < messages; at += per_group) {
            const JobId id = job_id(static_cast<uint16_t>(at + 1));
            Group group{accept_all(make_job(id, Workload::content_of(id)), per_group, {1, at % 7})};
            for (const Delivery& delivery : std::exchange(open, group[0].puts)) {
                group.push_back(delivery.id.index % 3 == 0 && delivery.attempts == 0
                                    ? defer(delivery, delivery.due + std::chrono::milliseconds(1))
                                    : finish(delivery));
                std::ranges::copy(group.back().puts, std::back_inserter(open));
            }
            if (!store.commit(group, 0, at / per_group + 1)) return group;
            for (const Batch& batch : group) sure.apply(batch);
        }
        return {};
    }
};

/// True when the run came to its end before `operation` had been done `point` times.
bool cut_at(FaultyFs::Operation operation, uint64_t point) {
    Machine machine;
    auto store = open_or_fail(machine.options());
    machine.disk->fail({.operation = operation, .pass = point, .times = 1, .cuts_power = true});
    Image sure;
    const Group doubt = SteadyRun().play(*store, sure);
    const bool ended = machine.disk->powered();
    machine.disk->cut_power();
    store.reset();
    std::mt19937_64 random(point);
    machine.disk->restore_power(random);
    auto again = Store::open(machine.options());
    if (!again) {
        ADD_FAILURE() << "cut at " << point << ": " << again.error().what;
        return true;
    }
    const Image found = image_of(**again);
    EXPECT_TRUE(found == sure || found == with(sure, doubt)) << "cut at " << point;
    return ended;
}

TEST(PowerCut, LosesNothingAtAnySyncOfARunOfTwoThousandMessages) {
    // All of them take a minute under the sanitizers; then each run takes its share.
    const uint64_t step = std::getenv("SLUICE_LONG") || !sanitized ? 1 : 10;
    uint64_t points = 0;
    for (const auto operation : {FaultyFs::Operation::sync, FaultyFs::Operation::sync_directory})
        for (uint64_t point = 0; !HasFailure() && !cut_at(operation, point); point += step)
            ++points;
    RecordProperty("points", static_cast<int>(points));
    EXPECT_GT(points, 60 / step);
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

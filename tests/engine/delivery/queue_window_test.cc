#include "engine/delivery/queue_window.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace engine {
namespace {

using std::chrono::milliseconds;
using storage::DeliveryKey;
using storage::JobId;
using storage::WallTime;

const storage::QueueId queue{1, 2};

struct Deliveries {
    ContentMemory memory;
    std::shared_ptr<const JobInfo> job =
        std::make_shared<const JobInfo>(storage::Job{.id = JobId{1}}, nullptr, memory);

    Waiting at(int due_ms, uint32_t index, uint64_t job_id = 1) const {
        return {
            {.id = {JobId{job_id}, index}, .queue = queue, .due = WallTime{milliseconds(due_ms)}},
            job};
    }
};

std::vector<uint32_t> indices(const std::vector<Waiting>& waiting) {
    std::vector<uint32_t> result;
    for (const Waiting& one : waiting) result.push_back(one.delivery.id.index);
    return result;
}

TEST(QueueWindow, GivesOutWhatIsDueEarliestFirst) {
    Deliveries deliveries;
    InWindows all;
    QueueWindow window(all);
    for (auto [due, index] : {std::pair{30, 3u}, {10, 1u}, {20, 2u}, {99, 9u}})
        EXPECT_TRUE(window.place(deliveries.at(due, index), 10));
    EXPECT_EQ(indices(window.take_due(WallTime{milliseconds(30)}, 2)),
              (std::vector<uint32_t>{1, 2}));
    EXPECT_EQ(indices(window.take_due(WallTime{milliseconds(30)}, 9)), (std::vector<uint32_t>{3}));
    EXPECT_EQ(window.next_due(), WallTime{milliseconds(99)});
}

TEST(QueueWindow, LeavesLaterOnesOnDiskWhenItIsFull) {
    Deliveries deliveries;
    InWindows all;
    QueueWindow window(all);
    EXPECT_TRUE(window.place(deliveries.at(10, 1), 2));
    EXPECT_TRUE(window.place(deliveries.at(20, 2), 2));
    EXPECT_FALSE(window.place(deliveries.at(30, 3), 2));
    EXPECT_TRUE(window.cursor().has_value());
    EXPECT_FALSE(window.place(deliveries.at(40, 4), 2))
        << "what lies beyond the cursor stays there";
    EXPECT_EQ(window.size(), 2u);
}

TEST(QueueWindow, SendsItsLastOneBackToDiskForAnEarlierOne) {
    Deliveries deliveries;
    InWindows all;
    QueueWindow window(all);
    window.place(deliveries.at(10, 1), 2);
    window.place(deliveries.at(30, 3), 2);
    EXPECT_TRUE(window.place(deliveries.at(20, 2), 2));
    EXPECT_EQ(indices(window.take_due(WallTime{milliseconds(99)}, 9)),
              (std::vector<uint32_t>{1, 2}));
    EXPECT_LT(*window.cursor(), storage::key_of(deliveries.at(30, 3).delivery));
}

TEST(QueueWindow, RestsWithFewInMemoryAndNoneOfTheirJobs) {
    Deliveries deliveries;
    InWindows all;
    QueueWindow window(all);
    for (uint32_t i = 1; i <= 5; ++i) window.place(deliveries.at(static_cast<int>(i), i), 10);
    window.rest(2);
    EXPECT_EQ(window.size(), 2u);
    EXPECT_FALSE(window.first_loaded());
    EXPECT_LT(*window.cursor(), storage::key_of(deliveries.at(3, 3).delivery));
    EXPECT_EQ(window.jobs_missing(9).size(), 1u);
}

TEST(QueueWindow, GivesOutOneByItsKeyAndAllThatHaveExpired) {
    Deliveries deliveries;
    InWindows all;
    QueueWindow window(all);
    for (uint32_t i = 1; i <= 4; ++i) {
        Waiting one = deliveries.at(10, i);
        one.delivery.expires = WallTime{milliseconds(100 * i)};
        window.place(std::move(one), 10);
    }
    EXPECT_EQ(window.first_expiry(), WallTime{milliseconds(100)});
    EXPECT_TRUE(window.take(storage::key_of(deliveries.at(10, 1).delivery)));
    EXPECT_FALSE(window.take(storage::key_of(deliveries.at(10, 1).delivery)));
    EXPECT_EQ(indices(window.take_expired(WallTime{milliseconds(300)})),
              (std::vector<uint32_t>{2, 3}));
    EXPECT_EQ(window.first_expiry(), WallTime{milliseconds(400)});
}

TEST(QueueWindow, StopsARefillBeforeWhatCameMeanwhile) {
    Deliveries deliveries;
    InWindows all;
    QueueWindow window = QueueWindow::from_disk(queue, all);
    window.begin_refill();
    EXPECT_FALSE(window.place(deliveries.at(20, 2), 10)) << "behind the cursor: on disk";
    std::vector<Waiting> rows;
    for (auto [due, index] : {std::pair{10, 1u}, {30, 3u}})
        rows.push_back(deliveries.at(due, index));
    window.end_refill(std::move(rows), std::nullopt);
    EXPECT_EQ(window.size(), 1u);
    ASSERT_TRUE(window.cursor());
    EXPECT_LT(*window.cursor(), storage::key_of(deliveries.at(20, 2).delivery));
}

TEST(QueueWindow, GivesNothingOutWhoseJobIsNotLoaded) {
    Deliveries deliveries;
    InWindows all;
    QueueWindow window = QueueWindow::from_disk(queue, all);
    window.begin_refill();
    std::vector<Waiting> rows;
    rows.push_back(deliveries.at(10, 1));
    rows.back().job = nullptr;
    window.end_refill(std::move(rows), std::nullopt);
    EXPECT_TRUE(window.take_due(WallTime{milliseconds(99)}, 9).empty());
    EXPECT_EQ(window.jobs_missing(9), std::vector<JobId>{JobId{1}});
    window.loaded({{JobId{1}, deliveries.job}});
    EXPECT_EQ(window.take_due(WallTime{milliseconds(99)}, 9).size(), 1u);
}

TEST(QueueWindow, KnowsWhenSomethingMayBeDueThoughAllOfItIsOnDisk) {
    Deliveries deliveries;
    InWindows all;
    EXPECT_EQ(QueueWindow(all).next_due(), std::nullopt);
    EXPECT_EQ(QueueWindow::from_disk(queue, all).next_due(), WallTime{}) << "nothing is known yet";
    QueueWindow window(all);
    EXPECT_FALSE(window.place(deliveries.at(30, 3), 0)) << "no room at all";
    EXPECT_EQ(window.next_due(), WallTime{milliseconds(30)});
    EXPECT_FALSE(window.place(deliveries.at(20, 2), 0));
    EXPECT_EQ(window.next_due(), WallTime{milliseconds(20)});
    EXPECT_FALSE(window.empty());
}

TEST(QueueWindow, ReadsAgainWhatItHasLeftToTheDisk) {
    Deliveries deliveries;
    InWindows all;
    QueueWindow window(all);
    for (auto [due, index] : {std::pair{10, 1u}, {20, 2u}})
        window.place(deliveries.at(due, index), 9);
    window.leave_all();
    EXPECT_EQ(window.size(), 0u);
    EXPECT_EQ(window.next_due(), WallTime{milliseconds(10)});
    EXPECT_LT(window.begin_refill(), storage::key_of(deliveries.at(10, 1).delivery));
    std::vector<Waiting> rows;
    for (auto [due, index] : {std::pair{10, 1u}, {20, 2u}})
        rows.push_back(deliveries.at(due, index));
    window.end_refill(std::move(rows), std::nullopt);
    EXPECT_EQ(indices(window.take_due(WallTime{milliseconds(99)}, 9)),
              (std::vector<uint32_t>{1, 2}));
}

TEST(QueueWindow, CountsTheMemoryOfWhatItHolds) {
    Deliveries deliveries;
    InWindows all;
    QueueWindow window(all);
    Waiting large = deliveries.at(10, 1);
    large.delivery.vars = std::string(5000, 'x');
    window.place(std::move(large), 2);
    window.place(deliveries.at(20, 2), 2);
    EXPECT_EQ(all.count, 2u);
    EXPECT_GT(all.bytes, 5000u);
    window.take_due(WallTime{milliseconds(10)}, 1);
    EXPECT_LT(all.bytes, 1000u);
    window.place(deliveries.at(30, 3), 1);
    EXPECT_EQ(all.count, 1u) << "left on disk";
    window.place(deliveries.at(15, 4), 1);
    EXPECT_EQ(all.count, 1u) << "in place of the last one";
    window.take_due(WallTime{milliseconds(99)}, 9);
    EXPECT_EQ(all.bytes, 0u);
}

TEST(QueueWindow, KnowsTheKeyBeforeAnother) {
    const DeliveryKey key{queue, WallTime{milliseconds(5)}, {JobId{7}, 3}};
    EXPECT_LT(before(key), key);
    EXPECT_LT(before({queue, WallTime{milliseconds(5)}, {JobId{7}, 0}}), key);
    EXPECT_LT(before({queue, WallTime{milliseconds(5)}, {JobId{0}, 0}}),
              (DeliveryKey{queue, WallTime{milliseconds(5)}, {JobId{0}, 0}}));
}

/// A disk, an owner that lends and finishes, arrivals and refills in random order: each row is
/// given out exactly once.
class Model {
  public:
    explicit Model(uint64_t seed) : random_(seed) {}

    void run() {
        for (int step = 0; step < 4000; ++step) {
            act(step < 3000);
            EXPECT_EQ(all_.count, window_.size());
        }
        for (int step = 0; step < 20000 && given_.size() < rows_; ++step) act(false);
        EXPECT_EQ(given_.size(), rows_);
        window_.leave_all();
        EXPECT_EQ(all_.bytes, 0u);
    }

  private:
    void act(bool arrivals) {
        if (random_() % 50 == 0) window_.leave_all();  // memory is scarce
        switch (random_() % (arrivals ? 4 : 3)) {
            case 0:
                take();
                break;
            case 1:
                begin();
                break;
            case 2:
                end();
                break;
            default:
                arrive();
                break;
        }
    }
    void arrive() {
        const int due = static_cast<int>(random_() % 1000);
        Waiting waiting = deliveries_.at(due, static_cast<uint32_t>(rows_++));
        disk_.emplace(storage::key_of(waiting.delivery));
        window_.place(std::move(waiting), limit_);
    }
    void begin() {
        if (window_.refilling() || !window_.cursor() || window_.size() >= limit_) return;
        const DeliveryKey after = window_.begin_refill();
        read_.clear();
        for (auto row = disk_.upper_bound(after);
             row != disk_.end() && read_.size() < limit_ - window_.size(); ++row)
            read_.push_back(*row);
        whole_ = read_.size() < limit_ - window_.size();
    }
    void end() {
        if (!window_.refilling()) return;
        std::vector<Waiting> rows;
        for (const DeliveryKey& key : read_)
            if (!given_.contains(key.id.index))
                rows.push_back(deliveries_.at(static_cast<int>(key.due.time_since_epoch().count()),
                                              key.id.index));
        window_.end_refill(std::move(rows), whole_ ? std::nullopt : std::optional(read_.back()));
    }
    void take() {
        for (Waiting& taken : window_.take_due(WallTime{milliseconds(5000)}, 3)) {
            EXPECT_TRUE(given_.insert(taken.delivery.id.index).second) << "given out twice";
            // The row stays on disk while it is lent, and goes at some later time: keep it, the
            // owner filters.
        }
    }

    Deliveries deliveries_;
    std::mt19937_64 random_;
    InWindows all_;
    QueueWindow window_{all_};
    std::set<DeliveryKey> disk_;
    std::vector<DeliveryKey> read_;
    bool whole_ = false;
    std::set<uint32_t> given_;
    size_t rows_ = 0;
    static constexpr size_t limit_ = 8;
};

TEST(QueueWindow, NeverLosesOrRepeatsARowInAnyOrderOfEvents) {
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE(seed);
        Model(seed).run();
    }
}

}  // namespace
}  // namespace engine

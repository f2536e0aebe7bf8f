// The journal of deliveries in doubt: what it says after the process is gone, whatever became of
// its file.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <fstream>
#include <random>
#include <thread>

#include "storage/in_doubt_files.h"
#include "tests/storage/support/records.h"

namespace storage {
namespace {

using namespace storage::tests;
using Slot = InDoubtJournal::Slot;

InDoubt entry_of(const Delivery& delivery, WallTime since = noon) {
    return {key_of(delivery), delivery.attempts, since};
}

InDoubtMark put(InDoubtJournal& journal, const Delivery& delivery) {
    journal.reserve(1);
    const InDoubtMark mark = journal.put(delivery, noon);
    journal.give_back(1);
    return mark;
}

std::unique_ptr<InDoubtFiles> files_or_fail(const std::filesystem::path& path, uint16_t shards = 1,
                                            uint32_t boot = 1) {
    auto files = InDoubtFiles::open(path, shards, boot);
    if (!files) ADD_FAILURE() << files.error().what;
    return std::move(*files);
}

std::filesystem::path first_file(const TemporaryDirectory& at) {
    return at.path() / "in_doubt" / "0.journal";
}

/// Leaves `count` entries in the journal of shard 0.
void leave_behind(const TemporaryDirectory& at, uint32_t count) {
    const auto files = files_or_fail(at.path());
    files->begin();
    for (uint32_t i = 0; i < count; ++i)
        put(files->journal(0), make_delivery(job_id(7), i, {3, 4}, noon));
}

void write_over(const std::filesystem::path& path, std::streamoff from, std::string_view bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(from);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

TEST(InDoubtJournal, SaysWhatWasPutAndNotCleared) {
    std::vector<Slot> slots(1024);
    InDoubtJournal journal(slots, 3);
    std::vector<InDoubtMark> marks;
    for (uint32_t i = 0; i < 10; ++i) marks.push_back(put(journal, make_delivery(job_id(1), i)));
    for (size_t i = 0; i < 10; i += 2) marks[i].clear();
    marks[0].clear();  // once more changes nothing
    EXPECT_EQ(journal.held(), 5u);
    const InDoubtLeft left = read_slots(slots);
    ASSERT_EQ(left.entries.size(), 5u);
    EXPECT_EQ(left.entries.front(), entry_of(make_delivery(job_id(1), 1)));
}

TEST(InDoubtJournal, UsesMoreSlotsOnlyWhenThoseInUseAreFull) {
    std::vector<Slot> slots(8192);
    InDoubtJournal journal(slots, 1);
    std::deque<InDoubtMark> marks;
    for (uint32_t i = 0; i < 100'000; ++i) {
        marks.push_back(put(journal, make_delivery(job_id(1), i)));
        if (marks.size() > 300) {
            marks.front().clear();
            marks.pop_front();
        }
    }
    for (size_t i = 1024; i < slots.size(); ++i) ASSERT_EQ(slots[i].queue_high, 0u) << i;
    while (journal.has_room(1)) put(journal, make_delivery(job_id(2), 0));
    EXPECT_EQ(read_slots(slots).entries.size(), slots.size());
}

TEST(InDoubtJournal, IsFullWhenWhatIsReservedWouldFillIt) {
    std::vector<Slot> slots(1024);
    InDoubtJournal journal(slots, 1);
    journal.reserve(1000);
    EXPECT_TRUE(journal.has_room(24));
    EXPECT_FALSE(journal.has_room(25));
    journal.give_back(1000);
    EXPECT_TRUE(journal.has_room(1024));
}

TEST(InDoubtJournal, OtherThreadsMayClear) {
    std::vector<Slot> slots(1024);
    InDoubtJournal journal(slots, 1);
    constexpr uint32_t rounds = 20'000;
    std::atomic<uint32_t> made{0};
    std::vector<InDoubtMark> marks(rounds);
    std::thread other([&] {
        for (uint32_t i = 0; i < rounds; ++i) {
            while (made.load(std::memory_order_acquire) <= i) std::this_thread::yield();
            marks[i].clear();
        }
    });
    for (uint32_t i = 0; i < rounds; ++i) {
        while (!journal.has_room(1)) std::this_thread::yield();
        marks[i] = put(journal, make_delivery(job_id(1), i));
        made.store(i + 1, std::memory_order_release);
    }
    other.join();
    EXPECT_EQ(journal.held(), 0u);
    EXPECT_TRUE(read_slots(slots).entries.empty());
}

TEST(InDoubtFiles, KnowExactlyAfterTheProcessWasKilled) {
    const TemporaryDirectory at;
    const pid_t child = ::fork();
    if (child == 0) {
        auto files = InDoubtFiles::open(at.path(), 2, 1);
        (*files)->begin();
        for (uint32_t i = 0; i < 3000; ++i) {
            InDoubtMark mark = put((*files)->journal(i % 2), make_delivery(job_id(7), i));
            if (i % 3 != 0) mark.clear();
        }
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    const auto files = files_or_fail(at.path(), 2, 2);
    ASSERT_EQ(files->left().size(), 1000u);
    for (uint32_t i = 0; i < 1000; ++i)
        ASSERT_EQ(files->left()[i], entry_of(make_delivery(job_id(7), 3 * i)));
    EXPECT_FALSE(files->machine_restarted());
    EXPECT_TRUE(files->damage().empty());
}

TEST(InDoubtFiles, ForgetWhatWasDealtWith) {
    const TemporaryDirectory at;
    leave_behind(at, 5);
    files_or_fail(at.path());  // it died again before it had dealt with them
    {
        const auto files = files_or_fail(at.path());
        EXPECT_EQ(files->left().size(), 5u);
        files->begin();
    }
    EXPECT_TRUE(files_or_fail(at.path())->left().empty());
}

TEST(InDoubtFiles, ReadThoseOfShardsThatAreNoMore) {
    const TemporaryDirectory at;
    {
        const auto files = files_or_fail(at.path(), 3);
        files->begin();
        put(files->journal(2), make_delivery(job_id(7), 1));
    }
    {
        const auto files = files_or_fail(at.path(), 1);
        EXPECT_EQ(files->left().size(), 1u);
        files->begin();
    }
    EXPECT_FALSE(std::filesystem::exists(at.path() / "in_doubt" / "2.journal"));
    EXPECT_TRUE(files_or_fail(at.path(), 1)->left().empty());
}

TEST(InDoubtFiles, LeaveOutATornSlotAndKeepTheRest) {
    const TemporaryDirectory at;
    leave_behind(at, 4);
    // The middle of the second slot as a sector of an older state.
    write_over(first_file(at), 4096 + 64 + 16, std::string(16, '\x5a'));
    const auto files = files_or_fail(at.path());
    EXPECT_EQ(files->left().size(), 3u);
    ASSERT_EQ(files->damage().size(), 1u);
    EXPECT_NE(files->damage()[0].find("1 entries"), std::string::npos) << files->damage()[0];
}

TEST(InDoubtFiles, AreMadeAnewWhenTheyAreCutShortOrForeign) {
    for (const bool cut : {true, false}) {
        const TemporaryDirectory at;
        leave_behind(at, 4);
        if (cut)
            std::filesystem::resize_file(first_file(at), 5000);
        else
            write_over(first_file(at), 0, "something else");
        {
            const auto files = files_or_fail(at.path());
            EXPECT_TRUE(files->left().empty());
            EXPECT_EQ(files->damage().size(), 1u);
            files->begin();
            put(files->journal(0), make_delivery(job_id(9), 1));
        }
        EXPECT_EQ(files_or_fail(at.path())->left().size(), 1u);
    }
}

TEST(InDoubtFiles, BelieveNothingOfGarbage) {
    const TemporaryDirectory at;
    leave_behind(at, 0);
    std::mt19937_64 random(7);
    std::string garbage(InDoubtJournal::slots_max * sizeof(Slot), '\0');
    for (char& octet : garbage) octet = static_cast<char>(random());
    write_over(first_file(at), 4096, garbage);
    const auto files = files_or_fail(at.path());
    EXPECT_TRUE(files->left().empty());
    EXPECT_EQ(files->damage().size(), 1u);
}

TEST(InDoubtFiles, NoticeThatTheMachineWasRestarted) {
    const TemporaryDirectory at;
    leave_behind(at, 1);
    write_over(first_file(at), 16, "00000000-0000-4000-8000-000000000000");
    const auto files = files_or_fail(at.path());
    EXPECT_TRUE(files->machine_restarted());
    EXPECT_EQ(files->left().size(), 1u);
}

TEST(InDoubtFiles, SayWhatIsWrongWithTheirFolder) {
    const TemporaryDirectory at;
    std::ofstream(at.path() / "in_doubt") << "no folder";
    const auto files = InDoubtFiles::open(at.path(), 1, 1);
    ASSERT_FALSE(files.has_value());
    EXPECT_NE(files.error().what.find("in_doubt"), std::string::npos) << files.error().what;
}

}  // namespace
}  // namespace storage

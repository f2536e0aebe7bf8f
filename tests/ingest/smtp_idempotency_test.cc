#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "storage/store.h"
#include "tests/ingest/support/smtp_harness.h"

namespace ingest::smtp_testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct SmtpIdempotency : ::testing::Test {
    std::filesystem::path directory;
    std::unique_ptr<storage::Store> store;
    IdempotencyKeys keys{1};
    Harness h;
    std::unique_ptr<KeyDesk> desk;
    uint64_t group = 0;

    SmtpIdempotency() {
        std::string name = testing::TempDir() + "/sluice-smtp-XXXXXX";
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        directory = name;
        auto opened = storage::Store::open({.data_dir = directory});
        EXPECT_TRUE(opened.has_value());
        store = std::move(*opened);
        keys.attach(h.post);
        desk = std::make_unique<KeyDesk>(KeyDesk{keys, h.post, h.worker, *store});
        h.context.keys = desk.get();
    }
    ~SmtpIdempotency() override {
        store.reset();
        std::filesystem::remove_all(directory);
    }
    /// One session; what the intake was given is on disk afterwards.
    std::string submit(const std::string& key, const std::string& body,
                       const std::string& to = "a@x.example") {
        const std::string said =
            h.talk({"EHLO a\r\nMAIL FROM:<b@s.example>\r\nRCPT TO:<" + to + ">\r\nDATA\r\n",
                    "X-Sluice-Idempotency-Key: " + key + "\r\nFrom: b@s.example\r\n\r\n" + body +
                        "\r\n.\r\n"});
        storage::Batch batch;
        batch.idempotency = std::exchange(h.intake.records, {});
        EXPECT_TRUE(store->commit({&batch, 1}, 0, ++group).has_value());
        return said.substr(said.find("354 "));
    }
};

TEST_F(SmtpIdempotency, AnswersARepeatAsTheFirstTimeAndStoresNothing) {
    EXPECT_THAT(submit("k1", "one"), HasSubstr("250 2.0.0 queued as 0000000000001\r\n"));
    EXPECT_THAT(submit("k1", "one"), HasSubstr("250 2.0.0 queued before as 0000000000001\r\n"));
    EXPECT_EQ(h.intake.parts.size(), 1u);
    EXPECT_THAT(h.rendered(), Not(HasSubstr("Idempotency")));
}

TEST_F(SmtpIdempotency, RefusesAKeyThatWasUsedForSomethingElse) {
    submit("k1", "one");
    EXPECT_THAT(submit("k1", "two"), HasSubstr("554 5.6.0 X-Sluice-Idempotency-Key: was used"));
    EXPECT_THAT(submit("k1", "one", "other@x.example"), HasSubstr("554 5.6.0"));
    EXPECT_THAT(submit("k2", "one"), HasSubstr("250 2.0.0 queued as"));
    EXPECT_EQ(h.intake.parts.size(), 2u);
}

TEST_F(SmtpIdempotency, GivesAKeyBackWhenTheIntakeRefuses) {
    h.intake.refuses = engine::Refusal{engine::Refusal::Why::disk_low, "", "the disk is low",
                                       std::chrono::seconds(30)};
    EXPECT_THAT(submit("k1", "one"), HasSubstr("452 4.3.1"));
    h.intake.refuses.reset();
    EXPECT_THAT(submit("k1", "two"), HasSubstr("250 2.0.0 queued as"));
}

}  // namespace
}  // namespace ingest::smtp_testing

// Who may give the signers another mail. What a letter holds is engine/message's matter.
#include "engine/delivery/letter.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "engine/message/dkim_keyring.h"
#include "metrics/metric.h"
#include "tests/engine/reactor/support/inline_worker.h"
#include "tests/engine/reactor/support/loop.h"

namespace engine {
namespace {

class Signers final : public InlineWorker {
  public:
    bool saturated() const override { return busy; }
    bool busy = true;
};

// The example of RFC 8410 10.3.
constexpr std::string_view pem =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
    "-----END PRIVATE KEY-----\n";

std::shared_ptr<const DkimKeys> one_key() {
    std::string path = "/tmp/sluice-letter-key-XXXXXX";
    ::close(mkstemp(path.data()));
    std::ofstream(path) << pem;
    auto keys = DkimKeys::load({{"x.test", "s1", path}}).keys;
    unlink(path.c_str());
    return keys;
}

class LettersTest : public ::testing::Test {
  protected:
    test::Loop loop;
    Signers signers;
    DkimKeyring keyring;
    metrics::Registry metrics;
    Letters letters{{*loop.reactor, signers, keyring, metrics}};
};

TEST_F(LettersTest, AreNeverCrowdedWhereNothingIsSigned) {
    EXPECT_FALSE(letters.crowded());
}

TEST_F(LettersTest, AreCrowdedWhileTheSignersHaveEnoughToDo) {
    keyring.set(one_key());
    EXPECT_TRUE(letters.crowded());
    signers.busy = false;
    EXPECT_FALSE(letters.crowded());
}

TEST_F(LettersTest, LetAConnectionLookAgainAlthoughNoMailBecomesReady) {
    const Instant before = std::chrono::steady_clock::now();
    loop.scope.spawn(letters.room());
    loop.run();
    EXPECT_GE(loop.reactor->now(), before + Letters::crowd_wait);
}

}  // namespace
}  // namespace engine

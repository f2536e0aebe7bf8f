#include "metrics/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace metrics::log {
namespace {

using namespace std::chrono_literals;

std::string logged(Options options, void (*act)()) {
    testing::internal::CaptureStderr();
    start(options);
    act();
    stop();
    return testing::internal::GetCapturedStderr();
}

TEST(Log, WritesTheEventAndItsFieldsOnOneLine) {
    EXPECT_EQ(
        format("delivery.retry", {{"job", "01J"}, {"attempt", 3}, {"wait", 1500ms}, {"tls", true}}),
        "delivery.retry job=01J attempt=3 wait=1.5 tls=yes");
}

TEST(Log, QuotesValuesThatCouldBeTakenForSeveral) {
    EXPECT_EQ(format("e", {{"a", "x y"}, {"b", ""}, {"c", "k=v"}, {"d", "say \"hi\""}}),
              R"(e a="x y" b="" c="k=v" d="say \"hi\"")");
}

TEST(Log, EscapesEveryByteThatIsNotPrintable) {
    for (int byte = 0; byte < 256; ++byte) {
        const std::string text(1, static_cast<char>(byte));
        const std::string line = format("e" + text, {{"k" + text, text}});
        for (const char c : line) EXPECT_TRUE(c >= 0x20 && c <= 0x7e) << byte << " in " << line;
    }
    EXPECT_EQ(format("e", {{"k", "a\r\nforged\x1b[0m\xe2\x80\xa8"}}),
              R"(e k=a\r\nforged\x1b[0m\xe2\x80\xa8)");
}

TEST(Log, CutsLongValuesAndShowsIt) {
    const std::string line = format("e", {{"k", std::string(100'000, 'x')}});
    EXPECT_LT(line.size(), Value::text_max + 20);
    EXPECT_TRUE(line.ends_with("..."));
}

TEST(Log, PrintsTimeLevelAndLineWithoutColourWhenStderrIsNoTerminal) {
    const std::string out = logged({}, [] { warn("disk.low", {{"free", 12u}}); });
    EXPECT_EQ(out.find('\x1b'), std::string::npos);
    EXPECT_TRUE(out.ends_with("Z warning disk.low free=12\n")) << out;
    EXPECT_EQ(out.find('T'), 10) << out;
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
    const std::string out = logged({.level = Level::warn}, [] {
        debug("a");
        info("b");
        warn("c");
        error("d");
    });
    EXPECT_EQ(out.find(" a\n"), std::string::npos);
    EXPECT_EQ(out.find(" b\n"), std::string::npos);
    EXPECT_NE(out.find(" c\n"), std::string::npos);
    EXPECT_NE(out.find(" d\n"), std::string::npos);
}

TEST(Log, WritesEverythingThatWaitsWhenItStops) {
    const std::string out = logged({}, [] {
        for (int i = 0; i < 1000; ++i) info("line", {{"n", i}});
    });
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1000);
}

/// Puts a pipe that nobody reads in the place of stderr.
class BlockedStderr {
  public:
    BlockedStderr() : saved_(dup(STDERR_FILENO)) {
        EXPECT_EQ(pipe(pipe_), 0);
        dup2(pipe_[1], STDERR_FILENO);
    }
    /// Reads it from now on, so that the writing thread gets free.
    void unblock() {
        reader_ = std::thread([fd = pipe_[0]] {
            char buffer[4096];
            while (read(fd, buffer, sizeof buffer) > 0) {
            }
        });
    }
    ~BlockedStderr() {
        dup2(saved_, STDERR_FILENO);
        close(pipe_[1]);
        close(saved_);
        reader_.join();
        close(pipe_[0]);
    }

  private:
    int saved_;
    int pipe_[2] = {};
    std::thread reader_;
};

TEST(Log, DropsAndCountsInsteadOfWaitingForABlockedStderr) {
    const uint64_t before = dropped();
    BlockedStderr blocked;
    start({.queue_max = 64});
    const std::string text(200, 'x');
    for (int i = 0; i < 5000; ++i)
        info("flood", {{"text", text}});  // far more than pipe and queue hold
    EXPECT_GT(dropped() - before, 1000);
    blocked.unblock();
    const uint64_t counted = dropped();
    stop();
    EXPECT_GE(dropped(), counted);
}

TEST(Log, MayBeUsedBeforeItStarts) {
    testing::internal::CaptureStderr();
    info("quiet");
    error("loud", {{"n", 1}});
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "loud n=1\n");
}

}  // namespace
}  // namespace metrics::log

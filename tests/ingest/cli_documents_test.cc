// Man pages, completions and the configuration's reference: made of the declarations, and whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "ingest/cli.h"
#include "ingest/config_reference.h"
#include "ingest/setting.h"

namespace ingest {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

std::string output_of(std::vector<std::string> words, int wanted = 0) {
    std::vector<const char*> argv{"sluice"};
    for (const auto& word : words) argv.push_back(word.c_str());
    testing::internal::CaptureStdout();
    const int status = run_command_line(static_cast<int>(argv.size()), argv.data(),
                                        [](const Config&) { return 0; });
    EXPECT_EQ(status, wanted);
    return testing::internal::GetCapturedStdout();
}

std::string file_text(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Documents, NameEveryCommandAndOption) {
    const std::string whole = output_of({"man"});
    for (const char* command : {"serve", "check", "events", "top", "queue", "why", "completion"}) {
        EXPECT_THAT(whole, HasSubstr(std::string("\\fBsluice\\-") + command));
        for (const char* shell : {"bash", "zsh", "fish"})
            EXPECT_THAT(output_of({"completion", shell}), HasSubstr(command)) << shell;
    }
    const std::string page = output_of({"man", "queue"});
    EXPECT_THAT(page, HasSubstr(".TH SLUICE\\-QUEUE 1"));
    EXPECT_THAT(page, HasSubstr("\\fB\\-\\-sort\\fR"));
    EXPECT_THAT(output_of({"completion", "bash"}), HasSubstr("--sort"));
    EXPECT_THAT(output_of({"man", "why"}), HasSubstr("\\fIWHAT\\fR"));
}

TEST(Documents, OfAMisspeltCommandSayWhatWasMeant) {
    testing::internal::CaptureStderr();
    output_of({"man", "queu"}, 2);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("did you mean queue?"));
}

TEST(Documents, AreWrittenIntoAFolder) {
    std::string name = (fs::temp_directory_path() / "sluice-man-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    output_of({"man", "--into", name + "/pages"});
    for (const char* page : {"sluice.1", "sluice-top.1", "sluice-events.1", "sluice.toml.5"})
        EXPECT_THAT(file_text(fs::path(name) / "pages" / page), HasSubstr(".TH ")) << page;
    fs::remove_all(name);
}

TEST(ConfigReference, HasEverySetting) {
    const std::string markdown = config_reference(), page = config_man_page();
    for (const Setting& setting : settings()) {
        EXPECT_THAT(markdown, HasSubstr("| `" + std::string(setting.key) + "` |"));
        EXPECT_THAT(page, HasSubstr("\\fB" + std::string(setting.key) + "\\fR\n"));
    }
    EXPECT_THAT(markdown, HasSubstr("## [[provider]]"));
}

TEST(ConfigReference, IsCurrentInTheRepository) {
    EXPECT_EQ(file_text(SLUICE_SOURCE_DIR "/deploy/CONFIGURATION.md"), config_reference())
        << "run: build/release/sluice man --markdown >deploy/CONFIGURATION.md";
}

}  // namespace
}  // namespace ingest

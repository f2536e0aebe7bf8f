// Every input that is kept (seeds, what the fuzzers found worth keeping, and what once broke
// something) goes through its target in every build.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/targets/targets.h"

namespace {

const std::filesystem::path corpora = SLUICE_SOURCE_DIR "/tests/fuzz/corpus";

class Corpus : public testing::TestWithParam<fuzz::Target> {};

TEST_P(Corpus, HoldsWhatItsTargetChecks) {
    size_t inputs = 0;
    for (const auto& file : std::filesystem::directory_iterator(corpora / GetParam().name)) {
        SCOPED_TRACE(file.path().filename().string());
        std::ifstream in(file.path(), std::ios::binary);
        GetParam().run(std::string(std::istreambuf_iterator<char>(in), {}));
        ++inputs;
    }
    EXPECT_GT(inputs, 0u) << "an empty corpus proves nothing";
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Corpus,
                         testing::ValuesIn(fuzz::targets().begin(), fuzz::targets().end()),
                         [](const auto& with) { return std::string(with.param.name); });

}  // namespace

// What is fuzzed: functions that take any octets and CHECK what must hold for them. libFuzzer feeds
// them in build/fuzz, and the unit tests replay the kept corpora in every other build.
#pragma once
#include <span>
#include <string_view>

namespace fuzz {

struct Target {
    std::string_view name;  // of its folder in tests/fuzz/corpus, too
    void (*run)(std::string_view input);
};

std::span<const Target> targets();

void replies(std::string_view input);
void submission(std::string_view input);
void dns_answer(std::string_view input);
void content(std::string_view input);
void content_record(std::string_view input);
void records(std::string_view input);
void job_json(std::string_view input);
void relaxed(std::string_view input);
void sts_policy(std::string_view input);

}  // namespace fuzz

// MTA-STS: the policy that a web server gave, and the TXT record, as divided by line ends.
#include "engine/policy/sts_policy.h"

#include "metrics/check.h"
#include "tests/fuzz/targets/targets.h"

namespace fuzz {

void sts_policy(std::string_view input) {
    using engine::StsPolicy;
    auto policy = engine::parse_sts_policy(input);
    if (!policy) {
        CHECK(!policy.error().empty(), "an error without words");
    } else {
        CHECK(policy->mx.size() <= StsPolicy::patterns_max, "too many patterns");
        CHECK(policy->max_age.count() >= 0 && policy->max_age <= StsPolicy::age_max, "an age");
        CHECK(policy->mode == StsPolicy::Mode::none || !policy->mx.empty(), "a policy for no host");
        std::string text;
        for (const auto& line : engine::lines_of(*policy)) text += line + "\r\n";
        auto again = engine::parse_sts_policy(text);
        CHECK(again && *again == *policy, "a policy that is another one when written again");
    }

    std::vector<std::string> texts;
    for (size_t at = 0; at <= input.size() && texts.size() < 100;) {
        size_t end = std::min(input.find('\n', at), input.size());
        texts.emplace_back(input.substr(at, end - at));
        at = end + 1;
    }
    if (auto id = engine::sts_record_id(texts))
        CHECK(!id->empty() && id->size() <= 32, "an id that RFC 8461 3.1 does not know");
}

}  // namespace fuzz

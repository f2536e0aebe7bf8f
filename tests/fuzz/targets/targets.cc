#include "tests/fuzz/targets/targets.h"

#include <array>

namespace fuzz {

std::span<const Target> targets() {
    static constexpr std::array all{
        Target{"replies", replies},
        Target{"submission", submission},
        Target{"dns_answer", dns_answer},
        Target{"content", content},
        Target{"content_record", content_record},
        Target{"records", records},
        Target{"job_json", job_json},
        Target{"relaxed", relaxed},
        Target{"sts_policy", sts_policy},
    };
    return all;
}

}  // namespace fuzz

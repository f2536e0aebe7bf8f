// Problem: one thing wrong with what a submitter sent.
#pragma once

#include <string>
#include <vector>

namespace engine {

/// One thing wrong with what a submitter sent. `code` is stable ("content.header_injection"),
/// `field` a path
/// ("content.headers.Subject"), `hint` how to mend it.
struct Problem {
    std::string code, message, field, hint;
};
using Problems = std::vector<Problem>;

}  // namespace engine

// The store under churn: mail comes, is put off, ends; campaigns are held; events age.
#pragma once

#include <filesystem>
#include <string>

namespace bench {

/// Prints what was written and what is held, beside what was handed over. `variant` is empty for
/// the options as they are, or "=NAME" for one other option; false when there is no such.
bool churn(const std::filesystem::path& directory, const std::string& variant);

}  // namespace bench

// libFuzzer's entry for all targets, so that they are linked once: sluice-fuzz --target=replies ...
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/fuzz/targets/targets.h"

namespace {

const fuzz::Target* chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    constexpr std::string_view option = "--target=";  // libFuzzer itself skips what begins with --
    for (int i = 1; i < *argc; ++i) {
        std::string_view word = (*argv)[i];
        if (!word.starts_with(option)) continue;
        for (const auto& target : fuzz::targets())
            if (target.name == word.substr(option.size())) chosen = &target;
    }
    if (chosen) return 0;
    std::fputs("sluice-fuzz: choose one with --target=NAME:", stderr);
    for (const auto& target : fuzz::targets())
        std::fprintf(stderr, " %s", std::string(target.name).c_str());
    std::fputc('\n', stderr);
    std::exit(2);
}

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, size_t size) {
    chosen->run({reinterpret_cast<const char*>(bytes), size});
    return 0;
}

#include "metrics/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace metrics {

namespace {
std::string read_file(const char* path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

double boot_time_seconds() {
    std::istringstream in(read_file("/proc/stat"));
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("btime ")) return std::strtod(line.c_str() + 6, nullptr);
    }
    return -1;
}
}  // namespace

ProcessUsage read_process_usage() {
    ProcessUsage usage;
    const std::string stat = read_file("/proc/self/stat");
    // The command name, in parentheses, may hold spaces and parentheses itself: fields count from
    // the last one.
    if (const size_t name_end = stat.rfind(')'); name_end != std::string::npos) {
        std::istringstream in(stat.substr(name_end + 1));
        const std::vector<std::string> fields{std::istream_iterator<std::string>(in), {}};
        const auto field = [&](size_t number) {  // as proc(5) numbers them: the state is 3
            return number - 3 < fields.size() ? std::strtod(fields[number - 3].c_str(), nullptr)
                                              : -1;
        };
        const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
        usage.cpu_seconds = (field(14) + field(15)) / ticks;
        usage.threads = field(20);
        if (const double boot = boot_time_seconds(); boot > 0)
            usage.start_time_seconds = boot + field(22) / ticks;
        usage.virtual_bytes = field(23);
        usage.resident_bytes = field(24) * static_cast<double>(sysconf(_SC_PAGESIZE));
    }
    std::error_code failed;
    auto fds = std::filesystem::directory_iterator("/proc/self/fd", failed);
    if (!failed)
        usage.open_fds =
            static_cast<double>(std::distance(begin(fds), end(fds)) - 1);  // less this one
    if (rlimit limit{}; getrlimit(RLIMIT_NOFILE, &limit) == 0)
        usage.max_fds = static_cast<double>(limit.rlim_cur);
    return usage;
}

}  // namespace metrics

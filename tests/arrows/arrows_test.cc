// Reads every #include of the product and fails on an arrow that points up the line of
// dependencies: ingest -> engine -> storage -> metrics, and inside engine reactor <- net <- {dns,
// policy, smtp <- bounce} <- delivery with message beside smtp.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>

namespace {

namespace fs = std::filesystem;

const fs::path root = SLUICE_SOURCE_DIR;

/// Folder -> the folders it may include, itself left out. What is not in here has no place in the
/// product.
const std::map<std::string, std::set<std::string>> arrows = {
    {"metrics", {}},
    {"storage", {"metrics"}},
    {"engine/reactor", {"storage", "metrics"}},
    {"engine/net", {"engine/reactor", "storage", "metrics"}},
    {"engine/dns", {"engine/net", "engine/reactor", "storage", "metrics"}},
    {"engine/message", {"engine/reactor", "storage", "metrics"}},
    {"engine/smtp", {"engine/message", "engine/net", "engine/reactor", "storage", "metrics"}},
    {"engine/policy", {"engine/dns", "engine/net", "engine/reactor", "storage", "metrics"}},
    {"engine/bounce",
     {"engine/smtp", "engine/message", "engine/net", "engine/reactor", "storage", "metrics"}},
    {"engine/delivery",
     {"engine/policy", "engine/bounce", "engine/smtp", "engine/message", "engine/dns", "engine/net",
      "engine/reactor", "storage", "metrics"}},
    {"ingest",
     {"engine/delivery", "engine/policy", "engine/bounce", "engine/smtp", "engine/message",
      "engine/dns", "engine/net", "engine/reactor", "storage", "metrics"}},
};

struct Include {
    std::string file;  // relative to the root
    int line = 0;
    std::string what;
    std::string place() const { return file + ":" + std::to_string(line) + " includes " + what; }
};

std::vector<std::string> product_files() {
    std::vector<std::string> files;
    for (const char* top : {"metrics", "storage", "engine", "ingest"}) {
        for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
            const std::string extension = entry.path().extension();
            if (extension == ".h" || extension == ".cc")
                files.push_back(fs::relative(entry.path(), root));
        }
    }
    std::ranges::sort(files);
    return files;
}

std::vector<Include> includes_of(const std::string& file) {
    static const std::regex form(R"re(^\s*#\s*include\s*([<"])([^">]+)[">])re");
    std::vector<Include> found;
    std::ifstream in(root / file);
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
        std::smatch match;
        if (std::regex_search(line, match, form)) found.push_back({file, number, match[2]});
    }
    return found;
}

std::string folder_of(const std::string& file) {
    return fs::path(file).parent_path().string();
}

bool is_ours(const std::string& what) {
    return fs::exists(root / what) || arrows.contains(folder_of(what));
}

std::vector<std::string> complaints_about(const Include& include) {
    const std::string from = folder_of(include.file);
    const std::string to = folder_of(include.what);
    if (include.what.starts_with("tests/") || include.what.starts_with("bench/")) {
        return {include.place() + ": the product never includes tests or bench"};
    }
    if (to.empty() && fs::exists(root / from / include.what)) {
        return {include.place() + ": write the whole path from the root"};
    }
    if (!is_ours(include.what)) return {};
    if (!fs::exists(root / include.what)) return {include.place() + ": there is no such file"};
    if (from == to || arrows.at(from).contains(to)) return {};
    return {include.place() + ": " + from + " may not include " + to};
}

}  // namespace

TEST(Arrows, EveryFileLiesInAFolderOfTheLine) {
    const auto files = product_files();
    EXPECT_GT(files.size(), 20u);
    for (const std::string& file : files) EXPECT_TRUE(arrows.contains(folder_of(file))) << file;
}

TEST(Arrows, NoIncludePointsUp) {
    std::vector<std::string> complaints;
    size_t seen = 0;
    for (const std::string& file : product_files()) {
        if (!arrows.contains(folder_of(file))) continue;
        for (const Include& include : includes_of(file)) {
            ++seen;
            std::ranges::copy(complaints_about(include), std::back_inserter(complaints));
        }
    }
    EXPECT_GT(seen, 100u);
    EXPECT_THAT(complaints, testing::IsEmpty());
}

TEST(Arrows, AnArrowThatPointsUpIsSeen) {
    EXPECT_THAT(complaints_about({"storage/store.h", 1, "engine/reactor/task.h"}),
                testing::SizeIs(1));
    EXPECT_THAT(complaints_about({"engine/net/stream.h", 1, "engine/smtp/session.h"}),
                testing::SizeIs(1));
    EXPECT_THAT(complaints_about({"engine/dns/resolver.h", 1, "engine/smtp/session.h"}),
                testing::SizeIs(1));
    EXPECT_THAT(complaints_about({"engine/dns/resolver.h", 1, "bench/x.h"}), testing::SizeIs(1));
    EXPECT_THAT(complaints_about({"engine/net/stream.h", 1, "engine/reactor/task.h"}),
                testing::IsEmpty());
    EXPECT_THAT(complaints_about({"engine/net/stream.h", 1, "vector"}), testing::IsEmpty());
}

TEST(Arrows, NoMutexInEngineOrIngest) {
    for (const std::string& file : product_files()) {
        if (!file.starts_with("engine/") && !file.starts_with("ingest/")) continue;
        for (const Include& include : includes_of(file)) {
            EXPECT_TRUE(include.what != "mutex" && include.what != "shared_mutex")
                << include.place();
        }
    }
}

TEST(Arrows, EveryFolderWithCodeHasAReadme) {
    std::set<std::string> folders;
    for (const std::string& file : product_files()) {
        if (file.ends_with(".cc")) folders.insert(folder_of(file));
    }
    for (const std::string& folder : folders) {
        EXPECT_TRUE(fs::exists(root / folder / "README.md")) << folder << " has no README.md";
    }
}

#include "ingest/config.h"

#include <fmt/format.h>
#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "ingest/config_check.h"
#include "ingest/config_reader.h"
#include "ingest/digest.h"
#include "ingest/setting.h"
#include "ingest/setting_check.h"
#include "metrics/check.h"

namespace ingest {

namespace {
constexpr size_t file_bytes_max = 4 << 20;

/// The defaults of the table as a document, so that they go through the same reader as what people
/// write.
std::string default_document() {
    std::string text, section;
    for (const Setting& s : settings()) {
        if (is_repeated(s.section) || s.fallback.empty()) continue;
        if (section != s.section) {
            section = s.section;
            text += fmt::format("[{}]\n", section);
        }
        text += fmt::format("{} = {}\n", s.key, s.fallback);
    }
    return text;
}

/// The order of the table; entries of repeated sections stay behind it as the file has them.
void sort_effective(Config& config) {
    const auto place = [](const Config::Effective& e) {
        const auto is_this = [&](const Setting& s) {
            return !is_repeated(s.section) && e.name == fmt::format("{}.{}", s.section, s.key);
        };
        return std::ranges::find_if(settings(), is_this) - settings().begin();
    };
    std::vector<std::pair<ptrdiff_t, size_t>> order;
    for (size_t i = 0; i < config.effective.size(); ++i)
        order.emplace_back(place(config.effective[i]), i);
    std::ranges::sort(order);
    std::vector<Config::Effective> sorted;
    for (const auto& [at, index] : order) sorted.push_back(std::move(config.effective[index]));
    config.effective = std::move(sorted);
}

bool is_on_this_host(std::string_view url) {
    const std::string_view rest = url.substr(url.find("//") + 2);
    const std::string_view host = rest.substr(0, rest.find_first_of(":/"));
    return host == "localhost" || host.starts_with("127.") || rest.starts_with("[::1]");
}

void add_warnings(Config& config) {
    if (config.delivery.timeouts.final < std::chrono::minutes(10)) {
        config.warnings.push_back(
            "[timeouts] final is below the 10 minutes of RFC 5321: a receiver that answers later "
            "gets the mail twice");
    }
    for (const engine::DomainSettings& domain : config.delivery.domains) {
        const auto warn = [&](std::string_view what) {
            config.warnings.push_back(fmt::format("[[domain]] {}: {}", domain.name, what));
        };
        if (domain.name == "*" && domain.route.empty())
            warn("without a route it means nothing; limits for all belong in [delivery]");
        if (!domain.credentials) continue;
        if (domain.credentials->user.empty() || domain.credentials->password.reveal().empty())
            warn("a log-in needs both auth_user and auth_password_file");
        if (domain.route.empty())
            warn("it logs in on the domain's own MX hosts; a relay belongs in route");
        if (domain.limits.tls.value_or(config.delivery.limits.tls) == engine::TlsPolicy::none)
            warn("with tls = \"none\" the password goes in plaintext");
    }
    for (const Webhook& webhook : config.webhooks) {
        if (webhook.url.starts_with("http://") && !is_on_this_host(webhook.url))
            config.warnings.push_back(
                fmt::format("[[webhook]] {}: over http:// anybody on the way reads its events; "
                            "use https://",
                            webhook.name));
    }
    if (config.listen.http.empty() && config.listen.smtp.empty()) {
        config.warnings.push_back("[listen] http and smtp are both empty: no mail can come in");
    }
}

/// Without a [[pool]] of that name, "default" has every source. check_together has seen that the
/// names are known.
void arrange_sources(Config& config) {
    if (config.sources.empty()) return;
    engine::Settings& to = config.delivery;
    to.sources = config.sources;
    to.pools.clear();
    engine::Pool& all = to.pools.emplace_back("default");
    for (engine::SourceId id = 0; id < to.sources.size(); ++id) all.sources.push_back(id);
    for (const PoolEntry& entry : config.pools) {
        engine::Pool pool{entry.name, {}, entry.total};
        for (const std::string& name : entry.sources) {
            const auto source = std::ranges::find(to.sources, name, &engine::SourceSettings::name);
            pool.sources.push_back(static_cast<engine::SourceId>(source - to.sources.begin()));
        }
        if (entry.name == "default")
            to.pools.front() = std::move(pool);
        else
            to.pools.push_back(std::move(pool));
    }
}

/// The host's full name, or its short one when it has no other.
std::string host_name() {
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
    if (is_host_name(name.data())) return name.data();
    addrinfo hints{};
    hints.ai_flags = AI_CANONNAME;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    std::string full = name.data();
    if (getaddrinfo(name.data(), nullptr, &hints, &found) == 0) {
        if (found->ai_canonname && is_host_name(found->ai_canonname)) full = found->ai_canonname;
        freeaddrinfo(found);
    }
    return full;
}

std::string digest_of_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return {};
    std::string text(file_bytes_max, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(in.gcount()));
    return plain_sha256(text);
}

std::string hex(std::string_view octets) {
    std::string text;
    for (const char c : octets) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return text;
}

std::expected<std::string, ConfigProblems> read_file(const std::filesystem::path& path) {
    const auto fail = [&](std::string what, std::string mend) {
        return std::unexpected(
            ConfigProblems{{path.string(), 0, 0, std::move(what), std::move(mend)}});
    };
    std::ifstream in(path, std::ios::binary);
    if (!in || std::filesystem::is_directory(path)) {
        const std::string why = in ? "it is a directory" : std::strerror(errno);
        return fail(fmt::format("the configuration cannot be read: {}", why),
                    "give a readable file to --config");
    }
    std::string text(file_bytes_max + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(in.gcount()));
    if (text.size() > file_bytes_max) {
        return fail("the file is too large for a configuration",
                    fmt::format("at most {} bytes", file_bytes_max));
    }
    return text;
}
}  // namespace

std::string hash_of(const std::vector<Config::File>& files) {
    std::string digests;
    for (const Config::File& file : files) digests += digest_of_file(file.path);
    return hex(plain_sha256(digests));
}

std::string Config::hash() const {
    std::string digests;
    for (const File& one : files) digests += one.digest;
    return hex(plain_sha256(digests));
}

std::string to_string(const ConfigProblem& problem) {
    std::string text = problem.file;
    if (problem.line > 0) text += fmt::format(":{}:{}", problem.line, problem.column);
    text += ": " + problem.what;
    return problem.mend.empty() ? text : text + "; " + problem.mend;
}

std::expected<Config, ConfigProblems> parse_config(std::string_view text, std::string_view file) {
    Config config;
    const auto broken = read_settings(config, default_document(), default_origin);
    CHECK(broken.empty(), "a default in the table of settings breaks its own rules");
    auto problems = read_settings(config, text, file);
    if (problems.empty()) problems = check_together(config, file);
    if (!problems.empty()) return std::unexpected(std::move(problems));
    arrange_sources(config);
    for (const Tenant& tenant : config.tenants)
        config.delivery.tenants.emplace(tenant.name, tenant.delivery);
    add_warnings(config);
    sort_effective(config);
    for (Config::File& file : config.files) file.digest = digest_of_file(file.path);
    return config;
}

std::expected<Config, ConfigProblems> load_config(const std::filesystem::path& path) {
    std::string text;
    if (!path.empty()) {
        auto read = read_file(path);
        if (!read) return std::unexpected(std::move(read.error()));
        text = std::move(*read);
    }
    auto config = parse_config(text, path.string());
    if (!config) return config;
    config->file = path;
    config->loaded = std::chrono::system_clock::now();
    if (!path.empty()) config->files.insert(config->files.begin(), {path.string(), plain_sha256(text)});
    const bool named = !config->delivery.node_name.empty();
    if (!named) config->delivery.node_name = host_name();
    if (config->organization.empty()) config->organization = config->delivery.node_name;
    if (config->contact.empty()) config->contact = "postmaster@" + config->delivery.node_name;
    if (named) return config;
    config->effective.insert(config->effective.begin(),
                             {"node.name", "\"" + config->delivery.node_name + "\"", "this host"});
    if (!is_host_name(config->delivery.node_name)) {
        config->warnings.push_back(
            fmt::format("this host calls itself {}, which is no full name, and many receivers "
                        "refuse such an EHLO; set [node] name",
                        config->delivery.node_name));
    }
    return config;
}

}  // namespace ingest

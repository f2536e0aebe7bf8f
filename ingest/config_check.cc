#include "ingest/config_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/dns/address_policy.h"
#include "engine/reactor/address.h"

namespace ingest {

namespace {

class Checker {
  public:
    Checker(const Config& config, std::string_view file) : config_(config), file_(file) {}

    ConfigProblems run() {
        const ServerTls& tls = config_.tls;
        if (tls.certificate.empty() != tls.key.empty()) {
            problem("tls.certificate", "[tls] certificate and key go together", "set both");
        }
        for (const std::string& address : config_.listen.smtp) check_smtp(address);
        for (const std::string& address : config_.listen.http) check_http(address);
        for (const Credential& credential : config_.credentials) check_credential(credential);
        for (const auto& rule : config_.delivery.automation) check_rule(rule);
        for (const auto& source : config_.sources) check_source(source);
        for (const PoolEntry& pool : config_.pools) check_pool(pool);
        return std::move(problems_);
    }

  private:
    bool has_tls() const { return !config_.tls.certificate.empty() && !config_.tls.key.empty(); }

    bool trusts_others() const {
        return std::ranges::any_of(config_.listen.smtp_trusted, [](const std::string& network) {
            const std::string ip = network.substr(0, network.find('/'));
            const auto address = engine::SocketAddress::from_ip(ip, 0);
            return address && !address->is_loopback();
        });
    }

    static bool for_strangers(std::string_view text) {
        if (text.starts_with("unix:")) return false;
        if (text.starts_with("tls:")) text.remove_prefix(4);
        const auto address = engine::SocketAddress::parse(text);
        return address && !address->is_loopback();
    }

    bool check_tls(std::string_view setting, std::string_view address) {
        if (!address.starts_with("tls:") || has_tls()) return true;
        problem(setting, fmt::format("\"{}\" needs a certificate", address),
                "set [tls] certificate and key");
        return false;
    }

    void check_smtp(std::string_view address) {
        if (!check_tls("listen.smtp", address) || !for_strangers(address)) return;
        // Who is no stranger there, and in what he says so.
        if ((has_tls() && !config_.credentials.empty()) || trusts_others()) return;
        problem("listen.smtp",
                fmt::format("\"{}\" is not loopback, and nobody could log in there", address),
                "set [tls] certificate and key and a [[credential]], or name your own hosts in "
                "smtp_trusted");
    }

    void check_http(std::string_view address) {
        if (!check_tls("listen.http", address) || !for_strangers(address)) return;
        const bool has_keys = std::ranges::any_of(
            config_.tenants, [](const Tenant& tenant) { return !tenant.api_key_sha256.empty(); });
        if (has_keys || !config_.listen.admin_key_sha256.empty()) return;
        problem("listen.http",
                fmt::format("\"{}\" is not loopback, and anybody could submit there", address),
                "give a [[tenant]] an api_key_sha256, or set admin_key_sha256");
    }

    void check_credential(const Credential& credential) {
        if (std::ranges::find(config_.tenants, credential.tenant, &Tenant::name) !=
            config_.tenants.end()) {
            return;
        }
        problem(fmt::format("credential.{}.tenant", credential.user),
                fmt::format("[[credential]] {}: there is no [[tenant]] {}", credential.user,
                            credential.tenant),
                "add it, or mend the name");
    }

    void check_proxy_of(const engine::SourceSettings& source) {
        const engine::EgressProxy& proxy = *source.proxy;
        const auto wrong = [&](std::string_view what, std::string mend) {
            problem(fmt::format("source.{}.name", source.name),
                    fmt::format("[[source]] {}: {}", source.name, what), std::move(mend));
        };
        if (proxy.address.empty()) return wrong("it has a log-in and no proxy", "set proxy");
        if (proxy.user.empty() != proxy.password.empty())
            return wrong("proxy_user and proxy_password_file go together", "set both");
        constexpr size_t password_max = 255;  // RFC 1929 2
        if (proxy.password.size() > password_max)
            return wrong("the password is longer than the 255 octets that SOCKS5 has for it",
                         "give a shorter one");
        if (proxy.kind == engine::EgressProxy::Kind::socks5) return;
        if (!proxy.user.empty())
            wrong("the PROXY protocol knows no log-in", "take proxy_user out, or use socks5://");
        if (!source.address)
            wrong("with haproxy:// it needs the address that the proxy connects from",
                  "set address");
    }

    void check_source(const engine::SourceSettings& source) {
        if (source.proxy) check_proxy_of(source);
        if (!source.warmup) return;
        if (source.warmup->messages.empty() || source.warmup->began == std::chrono::sys_days{}) {
            problem(fmt::format("source.{}.warmup", source.name),
                    fmt::format("[[source]] {}: warmup and warmup_begins go together", source.name),
                    "set both");
        }
    }

    void check_rule(const engine::AutomationRule& rule) {
        if (rule.klass || rule.match) return;
        problem(fmt::format("automation.{}.name", rule.name),
                fmt::format("[[automation]] {} has neither class nor match", rule.name),
                "say which replies it is about");
    }

    void check_pool(const PoolEntry& pool) {
        const std::string setting = fmt::format("pool.{}.sources", pool.name);
        if (pool.sources.empty()) {
            problem(setting, fmt::format("[[pool]] {} has no sources", pool.name),
                    "name at least one [[source]]");
        }
        for (auto name = pool.sources.begin(); name != pool.sources.end(); ++name) {
            if (std::ranges::find(config_.sources, *name, &engine::SourceSettings::name) ==
                config_.sources.end()) {
                problem(setting,
                        fmt::format("[[pool]] {}: there is no [[source]] {}", pool.name, *name),
                        "add it, or mend the name");
            } else if (std::find(pool.sources.begin(), name, *name) != name) {
                problem(setting, fmt::format("[[pool]] {} names {} twice", pool.name, *name),
                        "a source's weight says how much it gets");
            }
        }
    }

    /// At the line where `setting` stands.
    void problem(std::string_view setting, std::string what, std::string mend) {
        ConfigProblem problem{std::string(file_), 0, 0, std::move(what), std::move(mend)};
        const auto entry = std::ranges::find(config_.effective, setting, &Config::Effective::name);
        if (entry != config_.effective.end()) {
            const std::string_view origin = entry->origin;
            const std::string_view line = origin.substr(origin.rfind(':') + 1);
            std::from_chars(line.data(), line.data() + line.size(), problem.line);
            problem.column = problem.line > 0 ? 1 : 0;
        }
        problems_.push_back(std::move(problem));
    }

    const Config& config_;
    std::string_view file_;
    ConfigProblems problems_;
};

}  // namespace

ConfigProblems check_together(const Config& config, std::string_view file) {
    return Checker(config, file).run();
}

}  // namespace ingest

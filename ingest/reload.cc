#include "ingest/reload.h"

#include <fmt/format.h>

#include "ingest/config_check.h"
#include "metrics/log.h"

namespace ingest {

std::expected<std::shared_ptr<const engine::DkimKeys>, std::string> load_keys(
    const std::vector<engine::DkimEntry>& entries) {
    // Before the first key is read; a daemon without keys locks no memory.
    if (!entries.empty() && !engine::DkimKey::protect_memory())
        metrics::log::warn(
            "dkim.memory_not_locked",
            {{"hint", "keys may reach the swap or a core dump: raise LimitMEMLOCK"}});
    auto loaded = engine::DkimKeys::load(entries);
    std::string problems;
    for (const auto& report : loaded.reports) {
        if (!report.problem.empty())
            problems += fmt::format("{}[[dkim]] {}: {}", problems.empty() ? "" : "; ", report.entry,
                                    report.problem);
        if (!report.warning.empty())
            metrics::log::warn("dkim.key", {{"entry", report.entry}, {"why", report.warning}});
    }
    if (!problems.empty()) return std::unexpected(std::move(problems));
    return std::move(loaded.keys);
}

std::expected<std::shared_ptr<const engine::TlsContext>, std::string> load_listeners_tls(
    const ServerTls& tls) {
    if (tls.certificate.empty()) return nullptr;
    auto context = engine::TlsContext::server({.certificate = tls.certificate, .key = tls.key});
    if (!context) return std::unexpected("[tls]: " + context.error().what);
    return std::move(*context);
}

std::expected<Readied, ConfigProblems> read_anew(const Config& now) {
    auto read = load_config(now.file);
    if (!read) return std::unexpected(std::move(read.error()));
    Readied readied;
    readied.changes = changes_between(now, *read);
    readied.files = files_changed(now, *read);
    read->log_level = now.log_level;
    keep_until_restart(*read, now, readied.changes);
    // By itself the file is right; together with what takes a restart it need not be.
    if (auto together = check_together(*read, now.file.string()); !together.empty()) {
        for (ConfigProblem& problem : together)
            problem.mend += problem.mend.empty() ? "or restart" : ", or restart";
        return std::unexpected(std::move(together));
    }
    const auto wrong = [&](std::string what) {
        return std::unexpected(ConfigProblems{{now.file.string(), 0, 0, std::move(what), ""}});
    };
    auto keys = load_keys(read->dkim);
    if (!keys) return wrong(std::move(keys.error()));
    readied.keys = std::move(*keys);
    auto tls = load_listeners_tls(read->tls);
    if (!tls) return wrong(std::move(tls.error()));
    readied.listeners_tls = std::move(*tls);
    readied.config = std::make_shared<const Config>(std::move(*read));
    return readied;
}

}  // namespace ingest

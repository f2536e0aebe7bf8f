// How the daemon's shards go over to another configuration. The first shard reads it, one reload
// after the other, and every shard puts it in force between two turns.
#include <algorithm>

#include "engine/reactor/call.h"
#include "ingest/node_shard.h"
#include "metrics/catalog.h"
#include "metrics/log.h"

namespace ingest {

namespace catalog = metrics::catalog;
using engine::Task;

namespace {

constexpr size_t logged_max = 100;  // changes of one reload; the answer has them all

/// A question to the first shard; its frame holds what it needs, because it runs there.
struct ReloadThere {
    NodeShard* first;
    ReloadHow how;
    Task<ReloadReport> operator()() { co_return co_await first->reload_here(how); }
};

void log_changes(const ReloadReport& report) {
    size_t logged = 0;
    for (const ConfigChange& change : report.changes) {
        if (++logged > logged_max) break;
        metrics::log::info(change.needs_restart ? "config.needs_restart" : "config.changed",
                           {{"setting", change.name},
                            {"old", change.old_value},
                            {"new", change.value},
                            {"at", change.origin.empty() ? change.old_origin : change.origin}});
    }
    for (const std::string& file : report.files)
        metrics::log::info("config.file_changed", {{"file", file}});
    for (const std::string& warning : report.warnings)
        metrics::log::warn("config.warning", {{"why", warning}});
}

size_t restart_needed(const std::vector<ConfigChange>& changes) {
    return static_cast<size_t>(std::ranges::count(changes, true, &ConfigChange::needs_restart));
}

}  // namespace

void observe_config(metrics::Registry& registry, const Config& config) {
    const auto loaded = config.loaded.time_since_epoch();
    registry.gauge(catalog::config_loaded)
        .set(std::chrono::duration<double>(loaded).count());
    // As many of its bits as a number in a page of metrics holds exactly.
    registry.gauge(catalog::config_hash)
        .set(static_cast<double>(std::stoull(config.hash().substr(0, 12), nullptr, 16)));
}

Task<ReloadReport> NodeShard::reload(ReloadHow how) {
    NodeShard* first = shared_.shards.front();
    ReloadThere question{first, how};
    co_return co_await engine::call(post_, first->post_, std::move(question));
}

Task<ReloadReport> NodeShard::reload_here(ReloadHow how) {
    while (reloading_ && !draining_) co_await reloaded_.wait();
    ReloadReport report;
    if (draining_) {
        report.problems.push_back({{}, 0, 0, "the daemon stops", "start it with the new file"});
        co_return report;
    }
    reloading_ = true;
    const auto now = shared_.config.get();
    std::expected<Readied, ConfigProblems> read;
    co_await reads_.run([&] { read = read_anew(*now); });
    if (!read) {
        report.problems = std::move(read.error());
    } else {
        report.changes = read->changes;
        report.files = read->files;
        report.warnings = read->config->warnings;
        report.hash = read->config->hash();
        if (how == ReloadHow::in_force) co_await put_in_force(&*read);
    }
    if (how == ReloadHow::in_force) tell(report);
    reloading_ = false;
    reloaded_.notify_all();
    co_return report;
}

Task<> NodeShard::put_in_force(const Readied* readied) {
    shared_.config.set(readied->config);
    shared_.keyring.set(readied->keys);
    for (NodeShard* shard : shared_.shards)
        co_await engine::call(post_, shard->post_, [shard, readied] { shard->use(*readied); });
}

void NodeShard::tell(const ReloadReport& report) {
    const bool done = report.problems.empty();
    metrics_.counter(catalog::config_reloads, {done ? "ok" : "refused"}).add();
    metrics_.gauge(catalog::config_reload_successful).set(done ? 1 : 0);
    if (!done) {
        for (const ConfigProblem& problem : report.problems)
            metrics::log::error("daemon.reload_refused", {{"problem", to_string(problem)}});
        return;
    }
    observe_config(metrics_, *shared_.config.get());
    metrics_.gauge(catalog::config_restart_needed)
        .set(static_cast<double>(restart_needed(report.changes)));
    log_changes(report);
    metrics::log::info("daemon.reloaded", {{"changes", report.changes.size()},
                                           {"files", report.files.size()},
                                           {"need_restart", restart_needed(report.changes)},
                                           {"hash", report.hash.substr(0, 12)}});
}

/// Between two turns, on this shard's thread.
void NodeShard::use(const Readied& readied) {
    const Config& config = *readied.config;
    delivery_.use(ConfigInForce::settings_of(readied.config));
    http_.config = readied.config;
    api_keys_ = ApiKeys(config.tenants, config.listen.admin_key_sha256);
    http_.reporter.organization = config.organization;
    http_.reporter.contact = config.contact;
    smtp_.access = access_of(config, readied.listeners_tls);
    if (id_ == 0) logins_->use(config.credentials);
    offer_logins(config);
}

/// A signal, or the watch on the files, asks for it.
Task<> NodeShard::reload_as_asked() {
    while (reloads_done_.load(std::memory_order_relaxed) <
           reloads_asked_.load(std::memory_order_acquire)) {
        const uint64_t asked = reloads_asked_.load(std::memory_order_acquire);
        co_await reload_here(ReloadHow::in_force);
        reloads_done_.store(asked, std::memory_order_release);
    }
    reloads_as_asked_ = false;
}

}  // namespace ingest

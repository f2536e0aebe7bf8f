// sluice fsck: looks through the queue of a daemon that does not run, and mends it with --repair.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/delivery/shard_intake.h"
#include "engine/message/address.h"
#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/terminal.h"
#include "storage/fsck.h"

namespace ingest {

namespace {

using nlohmann::ordered_json;
using storage::FsckFinding;
using storage::FsckReport;

ordered_json as_json(const std::vector<FsckFinding>& findings) {
    auto list = ordered_json::array();
    for (const FsckFinding& f : findings) {
        list.push_back({{"kind", to_string(f.kind)}, {"what", f.what}, {"mend", f.mend}});
        if (f.more > 0) list.back()["more"] = f.more;
    }
    return list;
}

void print_json(const FsckReport& report) {
    const ordered_json out = {{"sound", report.sound()},
                              {"jobs", report.jobs},
                              {"contents", report.contents},
                              {"deliveries", report.deliveries},
                              {"queues", report.queues},
                              {"events", report.events},
                              {"idempotency_keys", report.idempotency_keys},
                              {"suppressions", report.suppressions},
                              {"found", as_json(report.found)},
                              {"done", report.done},
                              {"lost", report.lost},
                              {"left", as_json(report.left)}};
    fmt::print("{}\n", out.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

void print_findings(const std::vector<FsckFinding>& findings) {
    for (const FsckFinding& f : findings) {
        const bool harmless = f.kind == FsckFinding::Kind::orphan;
        fmt::print("{} {}{}\n",
                   coloured(fmt::format("{:<11}", to_string(f.kind)),
                            harmless ? Colour::faint : Colour::bad),
                   printable(f.what),
                   f.more > 0 ? fmt::format(", and {} more like it", grouped(f.more)) : "");
        fmt::print("{:<11} -> --repair {}\n", "", f.mend);
    }
}

void print_text(const FsckReport& report, bool repair) {
    print_findings(report.found);
    for (const std::string& done : report.done) fmt::print("done        {}\n", printable(done));
    for (const std::string& lost : report.lost)
        fmt::print("{} {}\n", coloured("lost       ", Colour::bad), printable(lost));
    if (repair && !report.left.empty()) {
        fmt::print("Left after the repair:\n");
        print_findings(report.left);
    }
    fmt::print(
        "{} jobs, {} contents, {} deliveries waiting, {} queues, {} events, {} idempotency keys, "
        "{} suppressed addresses\n",
        grouped(report.jobs), grouped(report.contents), grouped(report.deliveries),
        grouped(report.queues), grouped(report.events), grouped(report.idempotency_keys),
        grouped(report.suppressions));
    if (!report.sound())
        fmt::print("{}\n", coloured(repair ? "Damage is left: restore a backup, or move data_dir "
                                             "away and start with an empty queue"
                                           : "The queue is damaged: `sluice fsck --repair` mends "
                                             "what can be mended and keeps the files as they were",
                                    Colour::bad));
    else
        fmt::print("{}\n", coloured("The queue is sound.", Colour::good));
}

}  // namespace

int fsck(const FsckCommandOptions& options, const Config& config) {
    ProgressLine progress;
    const auto report = storage::fsck(
        {.data_dir = config.data_dir,
         .log_dir = config.log_dir,
         .repair = options.repair,
         .now = std::chrono::time_point_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now()),
         .file_system = nullptr,
         .queue_id = engine::queue_id,
         .domain_of =
             [](const std::string& recipient) {
                 const auto address = engine::parse_address(recipient);
                 return address ? address->routing_domain : "";
             },
         .progress =
             [&](std::string_view family, uint64_t records) {
                 progress.show(-1, fmt::format("{}: {} records", family, grouped(records)));
             }});
    progress.clear();
    if (!report) return failed("fsck", report.error().what);
    if (options.output == Output::json)
        print_json(*report);
    else
        print_text(*report, options.repair);
    return report->sound() ? 0 : 1;
}

}  // namespace ingest

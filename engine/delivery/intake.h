// Intake: the one way by which mail becomes ours. ingest/ parses and validates; Intake makes it
// durable and hands it to the home shards. One per shard, used only on that shard.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/message/content.h"
#include "engine/reactor/result.h"
#include "engine/reactor/task.h"
#include "storage/types.h"

namespace engine {

class JobInfo;

/// A job while its recipients come in. What is below the line is Intake's.
struct OpenJob {
    storage::Job job;  // id from Intake::new_job_id; `content` may stay empty, Intake encodes it
    std::shared_ptr<const Content> content;
    std::optional<storage::WallTime> send_at;
    std::optional<std::chrono::milliseconds>
        expires_in;  // from acceptance or send_at; default: the settings'
    // --- Intake's
    uint32_t recipients = 0;              // so far; the next one's index
    std::shared_ptr<const JobInfo> info;  // set once its row is on the way to the disk
    uint32_t suppressed = 0;  // of them: accepted, and ended at once by a suppression list
    bool refused = false;     // a part of it was refused: later parts are, too
};

struct Recipient {
    std::string address;         // valid by parse_address
    std::string routing_domain;  // of that address
    std::string vars;            // by Content::encode_vars
    std::string meta;            // JSON or empty
    uint8_t notify = 0;          // bits of storage::notify
    std::string orcpt;           // "rfc822;ann@x.test" or empty
};

/// Recipients of one job, as much as came together. The first part of a job stores it, the part
/// with `last` ends it.
struct JobPart {
    std::shared_ptr<OpenJob> job;
    std::vector<Recipient> recipients;
    bool last = false;
};

/// Why nothing may come in now. `limit` is a setting's name.
struct Refusal {
    enum class Why : uint8_t { disk_low, queue_full, storage_failed, draining };
    Why why{};
    std::string limit, message;
    std::chrono::seconds retry_after{30};
};

class Intake {
  public:
    virtual ~Intake() = default;
    /// Above every id that this data_dir has seen, and unique over shards.
    virtual storage::JobId new_job_id() = 0;
    virtual storage::WallTime now() const = 0;
    virtual const std::string& node_name() const = 0;
    /// Whether a job may name it. Any thread may ask.
    virtual bool has_pool(std::string_view name) const { return name == "default"; }
    /// Ask before parsing: cheap. The same refusals come from accept().
    virtual std::optional<Refusal> refusal() const = 0;
    /// Stores all parts in one atomic commit and returns after the log is synced; an error means
    /// that nothing of them is kept. Bounded: a caller that gives parts faster than the disk takes
    /// them waits inside.
    virtual Task<std::expected<void, Refusal>> accept(
        std::vector<JobPart> parts, std::vector<storage::IdempotencyRecord> idempotency) = 0;
};

}  // namespace engine

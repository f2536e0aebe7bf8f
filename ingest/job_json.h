// JSON of the API -> validated jobs and recipients. Pure: no I/O, no clock. simdjson reads; a
// syntax error is looked for a second time by nlohmann, which knows line and column. Duplicate keys
// are refused, because the two readers of a request with duplicates (ours and the one that checked
// it before) may each take another one.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/delivery/intake.h"
#include "engine/message/content.h"
#include "ingest/api_error.h"
#include "ingest/known_pool.h"

namespace ingest {

struct JobLimits {
    static constexpr size_t request_bytes_max = 50 << 20;
    static constexpr size_t recipients_max = 10'000;  // of one JSON document; NDJSON has no limit
    static constexpr size_t tenant_octets_max = 64;
    static constexpr size_t campaign_octets_max = 128;
    static constexpr size_t idempotency_key_octets_max = 128;
    static constexpr size_t vars_max = 100;  // per recipient
    static constexpr size_t var_name_octets_max = 64;
    static constexpr size_t vars_bytes_max = 64 << 10;  // names and values of one recipient
    static constexpr size_t meta_bytes_max = 4
                                             << 10;  // per recipient; it comes back in every event
    static constexpr size_t headers_max = 100;
    static constexpr size_t attachments_max = 100;
    static constexpr std::chrono::hours send_at_ahead_max{24 * 366};
    static constexpr std::chrono::milliseconds expires_in_min{1'000};
    static constexpr std::chrono::hours expires_in_max{24 * 30};
};

/// A recipient that does not make its job fail.
struct Rejected {
    uint32_t index = 0;  // its place in the request
    std::string to, code, message;
};

struct ParsedJob {
    std::shared_ptr<engine::OpenJob> open;
    std::vector<engine::Recipient> recipients;
    std::vector<Rejected> rejected;
    bool has_recipients = false;  // there was a list, maybe an empty one
    std::string idempotency_key;  // empty: none
};

/// What is wrong with one recipient's line.
struct BadRecipient {
    std::string to;
    std::vector<ApiError> errors;
    bool syntax = false;
};

using Parameters = std::vector<std::pair<std::string, std::string>>;
enum class RecipientList : uint8_t { required, optional };

/// A document and what lies behind it: at least `padding` readable bytes follow `text`.
class JobReader {
  public:
    static constexpr size_t padding = 64;

    explicit JobReader(KnownPool known_pool = is_default_pool);
    JobReader(JobReader&&) noexcept;
    ~JobReader();

    const KnownPool& known_pool() const;

    /// `origin` names the job that it becomes; `origin.time` is now.
    std::expected<ParsedJob, BadRequest> read_job(std::string_view text,
                                                  const engine::Origin& origin, RecipientList list);
    /// A message as it is, with the options and recipients of a request's parameters. Names that it
    /// does not know are the caller's.
    std::expected<ParsedJob, BadRequest> read_message(std::string_view message,
                                                      const Parameters& parameters,
                                                      const engine::Origin& origin);
    /// One recipient of an NDJSON stream. On a hot path: no allocation but the recipient's own
    /// strings.
    std::expected<engine::Recipient, BadRecipient> read_recipient(std::string_view text,
                                                                  const engine::Content& content);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Whether a line of an NDJSON stream begins a job: its first member is not one of a recipient's.
/// Looking at one name is enough, because no name belongs to both; what is neither is refused by
/// whoever reads the line.
bool begins_job(std::string_view line);

/// Tenant, campaign and idempotency key, from wherever they come: a sentence for people when it
/// cannot be one.
std::optional<std::string> wrong_label(std::string_view value, size_t octets_max);

}  // namespace ingest

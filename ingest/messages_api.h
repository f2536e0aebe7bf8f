// POST /v1/messages: how mail comes in over HTTP.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"
#include "ingest/job_json.h"

namespace ingest {

/// Answers the request. 202 only after the job is durable.
engine::Task<> post_messages(HttpConnection& connection, const HttpRequest& request,
                             HttpContext& context);

/// 429 or 503 with Retry-After and the limit's name.
HttpAnswer refused_answer(const engine::Refusal& refusal);
std::string_view refusal_code(engine::Refusal::Why why);

/// Makes the job the tenant's whose key came; what is wrong when it names another. An empty
/// `tenant` may speak for all.
std::optional<ApiError> settle_tenant(std::string_view tenant, ParsedJob& parsed);
/// `{"job":…,"accepted":…,"rejected":[…]}`, with the ids of all accepted recipients when asked for.
std::string accepted_text(const ParsedJob& parsed, bool with_ids);
/// Stores the job unless its key was used before: then the first answer again, or 409. `text` is
/// the answer to give and to keep, `digest` tells requests apart.
engine::Task<HttpAnswer> store_once(ParsedJob parsed, std::string text, std::string digest,
                                    HttpContext* context);
void append_rejected(std::string& out, const Rejected& rejected);

void count_accepted(HttpContext& context, uint64_t recipients);
void count_rejected(HttpContext& context, std::string_view reason, uint64_t times = 1);

}  // namespace ingest

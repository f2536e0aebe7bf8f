// Jobs as JSON: a document, and the recipient lines of a stream.
#include "ingest/job_json.h"
#include "metrics/check.h"
#include "tests/fuzz/targets/targets.h"
#include "tests/fuzz/targets/wire.h"

namespace fuzz {
namespace {

using namespace ingest;

void check_errors(const std::vector<ApiError>& errors) {
    CHECK(!errors.empty(), "a refusal without an error");
    for (const auto& error : errors)
        CHECK(!error.code.empty() && !error.message.empty(), "an error without words");
}

void check_recipient(const engine::Recipient& recipient, const engine::Content& content) {
    CHECK(engine::parse_address(recipient.address).has_value(), "a recipient that is none");
    check_wire(content.render({{}, recipient.address, recipient.vars}));
}

}  // namespace

void job_json(std::string_view input) {
    JobReader reader;
    std::string padded(input);
    padded.append(JobReader::padding, '\0');
    std::string_view text(padded.data(), input.size());
    auto job = reader.read_job(text, origin(), RecipientList::optional);
    if (!job) return check_errors(job.error().errors);
    const auto& content = *job->open->content;
    check_rendering(content, input);
    for (const auto& recipient : job->recipients) check_recipient(recipient, content);

    // The same text as a line of that job's stream.
    (void)begins_job(text);
    if (auto recipient = reader.read_recipient(text, content))
        check_recipient(*recipient, content);
    else
        check_errors(recipient.error().errors);
}

}  // namespace fuzz

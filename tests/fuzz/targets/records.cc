// The store's records. The first octet chooses the family.
#include "storage/records.h"
#include "metrics/check.h"
#include "tests/fuzz/targets/targets.h"

namespace fuzz {
namespace {

using namespace storage;

/// What was read is written again: the result must be readable and stay as it is.
template <class Read, class Write>
void stable(std::string_view input, Read read, Write write) {
    auto first = read(input);
    if (!first) return;
    Writer once, twice;
    write(once, *first);
    auto second = read(once.bytes());
    CHECK(second.has_value(), "a written record that cannot be read");
    write(twice, *second);
    CHECK(once.bytes() == twice.bytes(), "a record that is another one when written again");
}

template <JobForm form>
std::optional<Job> whole_job(std::string_view bytes) {
    Reader in(bytes);
    Job job = read_job(in, form);
    return in.finished() ? std::optional(std::move(job)) : std::nullopt;
}

}  // namespace

void records(std::string_view input) {
    if (input.empty()) return;
    const std::string bytes(input.substr(1));  // of its own size, for the sanitizer
    switch (uint8_t(input[0]) % 6) {
        case 0:
            return stable(
                bytes, [](std::string_view b) { return read_delivery(DeliveryKey{}, b); },
                [](Writer& out, const Delivery& d) { write_delivery(out, d, d.mark); });
        case 1:
            (void)event_is_of(bytes, DeliveryId{});
            (void)event_time(bytes);
            return stable(bytes, [](std::string_view b) { return read_event(7, b); }, write_event);
        case 2:
            return stable(bytes, read_queue_info, write_queue);
        case 3:
            return stable(
                bytes, [](std::string_view b) { return read_idempotency("t", "k", b); },
                write_idempotency);
        case 4:
            return stable(bytes, whole_job<JobForm::current>, write_job);
        case 5:
            (void)whole_job<JobForm::first>(bytes);
            return;
    }
}

}  // namespace fuzz

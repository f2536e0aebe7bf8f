// Values of the column families. Each begins with a version byte; a reader that meets another
// version, a length that does not fit or an octet too many gives nothing, and the store answers
// `corruption` with the key.
#pragma once

#include <optional>
#include <string_view>

#include "storage/codec.h"
#include "storage/types.h"

namespace storage {

/// `mark` is stored in place of delivery.mark. Queue, due and id are in the key and not in the
/// value.
void write_delivery(Writer&, const Delivery&, const AcceptMark& mark);
std::optional<Delivery> read_delivery(const DeliveryKey&, std::string_view);

void write_event(Writer&, const Event&);  // without seq, which is the key
std::optional<Event> read_event(uint64_t seq, std::string_view);
/// Reads no more than the first octets: for walking over the events of others.
bool event_is_of(std::string_view, DeliveryId);
std::optional<WallTime> event_time(std::string_view);

void write_queue(Writer&, const QueueInfo&);
std::optional<QueueInfo> read_queue_info(std::string_view);

void write_idempotency(Writer&, const IdempotencyRecord&);  // without tenant and key
std::optional<IdempotencyRecord> read_idempotency(std::string_view tenant, std::string_view key,
                                                  std::string_view);

void write_suppression(Writer&, const Suppression&);  // without tenant and address
std::optional<Suppression> read_suppression(std::string_view tenant, std::string_view address,
                                            std::string_view);

// Before the bytes of a content: the version, and whether it is large (0, 1: then the bytes are in
// a row of their own).
inline constexpr char content_version = 1;
inline constexpr size_t content_header_bytes = 2;

// Part of a job's row (ledger.h): no version of its own.
void write_job(Writer&, const Job&);
/// `first`: as rows of version 1 hold it, without what RFC 3461 and 8689 let a submitter ask for.
enum class JobForm : uint8_t { first, current };
Job read_job(Reader&, JobForm);

}  // namespace storage

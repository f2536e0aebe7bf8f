#include "storage/keys.h"

#include "storage/codec.h"

namespace storage {

namespace {

// Flips the sign bit: then times before 1970 sort before those after it.
constexpr uint64_t sign_bit = uint64_t{1} << 63;

uint64_t sortable(WallTime time) {
    return static_cast<uint64_t>(time.time_since_epoch().count()) ^ sign_bit;
}

WallTime from_sortable(uint64_t bits) {
    return WallTime(std::chrono::milliseconds(static_cast<int64_t>(bits ^ sign_bit)));
}

}  // namespace

std::string delivery_key(const DeliveryKey& key) {
    Writer out;
    out.expect(delivery_key_bytes);
    out.fixed64(key.queue.high);
    out.fixed64(key.queue.low);
    out.fixed64(sortable(key.due));
    out.fixed64(static_cast<uint64_t>(key.id.job));
    out.fixed32(key.id.index);
    return out.take();
}

std::optional<DeliveryKey> parse_delivery_key(std::string_view bytes) {
    Reader in(bytes);
    DeliveryKey key;
    key.queue.high = in.fixed64();
    key.queue.low = in.fixed64();
    key.due = from_sortable(in.fixed64());
    key.id.job = JobId{in.fixed64()};
    key.id.index = in.fixed32();
    return in.finished() ? std::optional(key) : std::nullopt;
}

std::string queue_key(QueueId queue) {
    Writer out;
    out.fixed64(queue.high);
    out.fixed64(queue.low);
    return out.take();
}

std::optional<QueueId> parse_queue_key(std::string_view bytes) {
    Reader in(bytes);
    QueueId queue;
    queue.high = in.fixed64();
    queue.low = in.fixed64();
    return in.finished() ? std::optional(queue) : std::nullopt;
}

std::string behind_prefix(std::string_view prefix) {
    std::string bound(prefix);
    while (!bound.empty() && static_cast<uint8_t>(bound.back()) == 0xff) bound.pop_back();
    if (!bound.empty()) bound.back() = static_cast<char>(bound.back() + 1);
    return bound;
}

std::string number_key(uint64_t number) {
    Writer out;
    out.fixed64(number);
    return out.take();
}

std::optional<uint64_t> parse_number_key(std::string_view bytes) {
    Reader in(bytes);
    const uint64_t number = in.fixed64();
    return in.finished() ? std::optional(number) : std::nullopt;
}

std::string content_key(JobId job) {
    Writer out;
    out.byte(0);
    out.fixed64(static_cast<uint64_t>(job));
    return out.take();
}

std::string large_content_key(JobId job) {
    Writer out;
    out.byte(1);
    out.fixed64(static_cast<uint64_t>(job));
    return out.take();
}

std::string idempotency_key(std::string_view tenant, std::string_view key) {
    Writer out;
    out.byte('k');
    out.string(tenant);
    out.string(key);
    return out.take();
}

std::string idempotency_expiry_key(const IdempotencyRecord& record) {
    Writer out;
    out.raw(idempotency_expiry_begin);
    out.fixed64(sortable(record.expires));
    out.string(record.tenant);
    out.string(record.key);
    return out.take();
}

std::string idempotency_expiry_bound(WallTime time) {
    Writer out;
    out.raw(idempotency_expiry_begin);
    out.fixed64(sortable(time));
    return behind_prefix(out.bytes());
}

std::optional<IdempotencyName> parse_idempotency_expiry_key(std::string_view bytes) {
    Reader in(bytes);
    if (in.byte() != 't') return std::nullopt;
    IdempotencyName name;
    name.expires = from_sortable(in.fixed64());
    name.tenant = in.string();
    name.key = in.string();
    return in.finished() ? std::optional(std::move(name)) : std::nullopt;
}

std::string note_key(std::string_view kind, std::string_view name) {
    return std::string(meta_note).append(kind).append("/").append(name);
}

std::string suppression_prefix(std::string_view tenant) {
    Writer out;
    out.string(tenant);
    return out.take();
}

std::string suppression_key(std::string_view tenant, std::string_view address) {
    Writer out;
    out.string(tenant);
    out.raw(address);
    return out.take();
}

std::optional<SuppressionName> parse_suppression_key(std::string_view bytes) {
    Reader in(bytes);
    SuppressionName name;
    name.tenant = in.string();
    if (in.failed()) return std::nullopt;
    name.address = bytes.substr(bytes.size() - in.remaining());
    return name;
}

}  // namespace storage

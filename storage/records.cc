#include "storage/records.h"

namespace storage {

namespace {

constexpr uint8_t delivery_version = 3;  // 2: notify, orcpt; 3: doubt
constexpr uint8_t event_version = 3;     // 2: in_doubt; 3: may_be_duplicate
constexpr uint8_t queue_version = 1;
constexpr uint8_t idempotency_version = 1;
constexpr uint8_t suppression_version = 1;

constexpr uint8_t class_count = 2;
constexpr uint8_t dsn_return_count = 3;
constexpr uint8_t tls_request_count = 3;
constexpr uint8_t notify_limit = 16;
constexpr uint8_t doubt_count = 3;
constexpr auto event_type_count = static_cast<uint8_t>(Event::Type::async_bounce) + 1;

template <class T>
std::optional<T> when_finished(const Reader& in, T value) {
    return in.finished() ? std::optional(std::move(value)) : std::nullopt;
}

// What stands at the front of an event, so that a walk over events need not read the rest.
struct EventFront {
    uint8_t version = 0;
    DeliveryId delivery;
    WallTime time{};
};
EventFront read_event_front(Reader& in) {
    EventFront front;
    front.version = in.byte();
    if (front.version == 0 || front.version > event_version) in.fail();
    front.delivery.job = JobId{in.fixed64()};
    front.delivery.index = in.fixed32();
    front.time = in.time();
    return front;
}

}  // namespace

void write_delivery(Writer& out, const Delivery& delivery, const AcceptMark& mark) {
    out.byte(delivery_version);
    out.string(delivery.recipient);
    out.string(delivery.vars);
    out.string(delivery.meta);
    out.byte(delivery.notify);
    out.string(delivery.orcpt);
    out.varint(delivery.attempts);
    out.time(delivery.accepted);
    out.time(delivery.expires);
    out.varint(mark.boot);
    out.varint(mark.shard);
    out.varint(mark.group);
    out.byte(static_cast<uint8_t>(delivery.doubt));
}

std::optional<Delivery> read_delivery(const DeliveryKey& key, std::string_view bytes) {
    Reader in(bytes);
    const uint8_t version = in.byte();
    if (version == 0 || version > delivery_version) return std::nullopt;
    Delivery delivery;
    delivery.id = key.id;
    delivery.queue = key.queue;
    delivery.due = key.due;
    delivery.recipient = in.string();
    delivery.vars = in.string();
    delivery.meta = in.string();
    if (version >= 2) {
        delivery.notify = in.below(notify_limit);
        delivery.orcpt = in.string();
    }
    delivery.attempts = in.varint32();
    delivery.accepted = in.time();
    delivery.expires = in.time();
    delivery.mark.boot = in.varint32();
    delivery.mark.shard = in.varint16();
    delivery.mark.group = in.varint();
    if (version >= 3) delivery.doubt = static_cast<Doubt>(in.below(doubt_count));
    return when_finished(in, std::move(delivery));
}

void write_event(Writer& out, const Event& event) {
    out.byte(event_version);
    out.fixed64(static_cast<uint64_t>(event.delivery.job));
    out.fixed32(event.delivery.index);
    out.time(event.time);
    out.byte(static_cast<uint8_t>(event.type));
    out.byte(static_cast<uint8_t>(event.klass));
    for (const std::string* text :
         {&event.tenant, &event.campaign, &event.from, &event.to, &event.domain, &event.site,
          &event.provider, &event.mx, &event.ip, &event.source, &event.stage, &event.enhanced,
          &event.reply, &event.bounce_class, &event.bounce_kind, &event.tls, &event.meta})
        out.string(*text);
    out.varint(event.attempt);
    out.varint(event.code);
    out.byte(event.next_attempt ? 1 : 0);
    if (event.next_attempt) out.time(*event.next_attempt);
    out.varint(event.queue_ms);
    out.varint(event.smtp_ms);
    out.byte(event.in_doubt ? 1 : 0);
    out.byte(event.may_be_duplicate ? 1 : 0);
}

std::optional<Event> read_event(uint64_t seq, std::string_view bytes) {
    Reader in(bytes);
    const EventFront front = read_event_front(in);
    Event event;
    event.seq = seq;
    event.delivery = front.delivery;
    event.time = front.time;
    event.type = static_cast<Event::Type>(in.below(event_type_count));
    event.klass = static_cast<Class>(in.below(class_count));
    for (std::string* text :
         {&event.tenant, &event.campaign, &event.from, &event.to, &event.domain, &event.site,
          &event.provider, &event.mx, &event.ip, &event.source, &event.stage, &event.enhanced,
          &event.reply, &event.bounce_class, &event.bounce_kind, &event.tls, &event.meta})
        *text = in.string();
    event.attempt = in.varint32();
    event.code = in.varint16();
    if (in.flag()) event.next_attempt = in.time();
    event.queue_ms = in.varint();
    event.smtp_ms = in.varint();
    if (front.version >= 2) event.in_doubt = in.flag();
    if (front.version >= 3) event.may_be_duplicate = in.flag();
    return when_finished(in, std::move(event));
}

bool event_is_of(std::string_view bytes, DeliveryId delivery) {
    Reader in(bytes);
    const EventFront front = read_event_front(in);
    return !in.failed() && front.delivery == delivery;
}

std::optional<WallTime> event_time(std::string_view bytes) {
    Reader in(bytes);
    const EventFront front = read_event_front(in);
    return in.failed() ? std::nullopt : std::optional(front.time);
}

void write_queue(Writer& out, const QueueInfo& queue) {
    out.byte(queue_version);
    out.string(queue.tenant);
    out.string(queue.campaign);
    out.byte(static_cast<uint8_t>(queue.klass));
    out.string(queue.domain);
}

std::optional<QueueInfo> read_queue_info(std::string_view bytes) {
    Reader in(bytes);
    if (in.byte() != queue_version) return std::nullopt;
    QueueInfo queue;
    queue.tenant = in.string();
    queue.campaign = in.string();
    queue.klass = static_cast<Class>(in.below(class_count));
    queue.domain = in.string();
    return when_finished(in, std::move(queue));
}

void write_idempotency(Writer& out, const IdempotencyRecord& record) {
    out.byte(idempotency_version);
    out.string(record.digest);
    out.string(record.answer);
    out.time(record.expires);
}

std::optional<IdempotencyRecord> read_idempotency(std::string_view tenant, std::string_view key,
                                                  std::string_view bytes) {
    Reader in(bytes);
    if (in.byte() != idempotency_version) return std::nullopt;
    IdempotencyRecord record;
    record.tenant = tenant;
    record.key = key;
    record.digest = in.string();
    record.answer = in.string();
    record.expires = in.time();
    return when_finished(in, std::move(record));
}

void write_job(Writer& out, const Job& job) {
    out.fixed64(static_cast<uint64_t>(job.id));
    out.string(job.tenant);
    out.string(job.campaign);
    out.string(job.pool);
    out.byte(static_cast<uint8_t>(job.klass));
    out.string(job.sender);
    out.time(job.created);
    out.string(job.envid);
    out.byte(static_cast<uint8_t>(job.ret));
    out.byte(job.reports ? 1 : 0);
    out.byte(static_cast<uint8_t>(job.tls));
}

Job read_job(Reader& in, JobForm form) {
    Job job;
    job.id = JobId{in.fixed64()};
    job.tenant = in.string();
    job.campaign = in.string();
    job.pool = in.string();
    job.klass = static_cast<Class>(in.below(class_count));
    job.sender = in.string();
    job.created = in.time();
    if (form == JobForm::first) return job;
    job.envid = in.string();
    job.ret = static_cast<DsnReturn>(in.below(dsn_return_count));
    job.reports = in.flag();
    job.tls = static_cast<TlsRequest>(in.below(tls_request_count));
    return job;
}

void write_suppression(Writer& out, const Suppression& entry) {
    out.byte(suppression_version);
    out.string(entry.reason);
    out.string(entry.source);
    out.time(entry.time);
}

std::optional<Suppression> read_suppression(std::string_view tenant, std::string_view address,
                                            std::string_view bytes) {
    Reader in(bytes);
    if (in.byte() != suppression_version) return std::nullopt;
    Suppression entry{.tenant = std::string(tenant), .address = std::string(address)};
    entry.reason = in.string();
    entry.source = in.string();
    entry.time = in.time();
    return when_finished(in, std::move(entry));
}

}  // namespace storage

#include "ingest/webhooks.h"

#include <algorithm>
#include <utility>

#include "engine/reactor/thread_worker.h"
#include "ingest/units.h"
#include "ingest/webhook_sender.h"
#include "metrics/catalog.h"
#include "metrics/log.h"

namespace ingest {

using engine::Instant;
using engine::Task;
namespace catalog = metrics::catalog;

namespace {

constexpr std::string_view note_kind = "webhook";
constexpr auto stop_check = std::chrono::seconds(1);
/// Between two requests that were not full: events come in groups, and a request for each event
/// would be the receiver's whole work.
constexpr auto gather_for = std::chrono::milliseconds(100);
/// A cursor that moved over events that nobody wanted is kept now and then only: each time is a
/// sync.
constexpr auto keep_every = std::chrono::seconds(10);
constexpr long too_large = 413;

}  // namespace

struct Webhooks::Sink {
    Sink(engine::Reactor& reactor, metrics::Registry& metrics, const Webhook& from, size_t number)
        : webhook(from),
          sender(from),
          events_max(from.events_max),
          backlog(metrics.gauge(catalog::events_backlog, {from.name})),
          pushed(metrics.counter(catalog::events_pushed, {from.name})),
          failures(metrics.counter(catalog::webhook_failures, {from.name})),
          missed(metrics.counter(catalog::events_missed, {from.name})),
          thread(reactor, "webhook" + std::to_string(number)) {}

    const Webhook webhook;
    WebhookSender sender;
    uint64_t cursor = 0;  // the receiver has everything to here
    uint64_t kept = 0;    // the cursor, in the store
    Instant keep_at{};
    uint64_t events_max;  // fewer than the setting after 413
    uint64_t failures_in_a_row = 0;
    metrics::Gauge& backlog;
    metrics::Counter& pushed;
    metrics::Counter& failures;
    metrics::Counter& missed;
    engine::ThreadWorker thread;  // last: what it runs uses the others
};

Webhooks::Webhooks(engine::Reactor& reactor, storage::Store& store, engine::Feed& feed,
                   metrics::Registry& metrics, const std::vector<Webhook>& webhooks)
    : reactor_(reactor), store_(store), feed_(feed), metrics_(metrics), stopped_(reactor) {
    for (const Webhook& webhook : webhooks)
        sinks_.push_back(std::make_unique<Sink>(reactor, metrics_, webhook, sinks_.size()));
}
Webhooks::~Webhooks() = default;

void Webhooks::start() {
    for (const auto& sink : sinks_) scope_.spawn(push(sink.get()));
}

Task<> Webhooks::stop() {
    stopping_ = true;
    for (const auto& sink : sinks_) sink->sender.stop();
    stopped_.notify_all();
    co_await scope_.join();
}

Task<> Webhooks::push(Sink* sink) {
    co_await begin(sink);
    while (!stopping_) {
        show(*sink);
        if (sink->cursor >= feed_.last()) {
            co_await feed_.wait_beyond(sink->cursor, reactor_.now() + stop_check);
            continue;
        }
        co_await send_next(sink);
    }
    if (sink->kept == sink->cursor) co_return;
    co_await sink->thread.run([&] {
        const storage::Note note{sink->webhook.name, std::to_string(sink->cursor)};
        (void)store_.put_notes(note_kind, std::span(&note, 1));
    });
}

/// A webhook that is new gets what happens from now on.
Task<> Webhooks::begin(Sink* sink) {
    std::optional<uint64_t> kept;
    std::string error;
    co_await sink->thread.run([&] {
        const auto notes = store_.notes(note_kind, sink->webhook.name, 1000);
        if (!notes) return void(error = notes.error().what);
        const auto own = std::ranges::find(*notes, sink->webhook.name, &storage::Note::name);
        if (own == notes->end()) return;
        if (const auto number = parse_count(own->value, UINT64_MAX)) kept = *number;
    });
    if (!error.empty())
        metrics::log::warn("webhook.cursor_unreadable",
                           {{"webhook", sink->webhook.name}, {"error", error}});
    const uint64_t last = feed_.last();
    // A restored backup numbers events anew.
    sink->cursor = std::min(kept.value_or(last), last);
    sink->kept = kept.value_or(UINT64_MAX);
    metrics::log::info("webhook.begins", {{"webhook", sink->webhook.name},
                                          {"behind", sink->cursor},
                                          {"events_waiting", last - sink->cursor}});
}

Task<> Webhooks::send_next(Sink* sink) {
    if (const uint64_t first = store_.first_event(); first > sink->cursor + 1) {
        const uint64_t gone = first - 1 - sink->cursor;
        sink->missed.add(gone);
        metrics::log::error("webhook.events_missed",
                            {{"webhook", sink->webhook.name},
                             {"events", gone},
                             {"why", "the log did not keep them for as long as they waited"}});
        sink->cursor = first - 1;
    }
    WebhookBatch batch;
    WebhookSender::Failed failure;
    bool done = false;
    const storage::WallTime now = reactor_.wall();
    const bool keep_now = reactor_.now() >= sink->keep_at;
    uint64_t kept = sink->kept;
    co_await sink->thread.run([&] {
        auto made = webhook_batch(store_, sink->webhook, sink->cursor, sink->events_max);
        if (!made) return void(failure.what = made.error().what);
        batch = std::move(*made);
        if (batch.events > 0) {
            if (auto sent = sink->sender.send(batch, now); !sent)
                return void(failure = std::move(sent.error()));
        }
        done = true;
        if (batch.events == 0 && !keep_now) return;
        const storage::Note note{sink->webhook.name, std::to_string(batch.upto)};
        if (store_.put_notes(note_kind, std::span(&note, 1))) kept = batch.upto;
    });
    if (!done) {
        failed(*sink, failure.status, failure.what);
        const auto doublings = std::min<uint64_t>(sink->failures_in_a_row - 1, 9);
        co_return co_await rest(reactor_.now() + std::min<std::chrono::seconds>(
                                                     wait_first * (1 << doublings), wait_most));
    }
    if (std::exchange(sink->failures_in_a_row, 0) > 0)
        metrics::log::info("webhook.works_again", {{"webhook", sink->webhook.name}});
    if (sink->kept != kept) sink->keep_at = reactor_.now() + keep_every;
    sink->kept = kept;
    sink->cursor = batch.upto;
    sink->pushed.add(batch.events);
    sink->events_max = std::min(sink->events_max * 2, sink->webhook.events_max);
    show(*sink);
    if (!batch.full) co_await rest(reactor_.now() + gather_for);
}

void Webhooks::failed(Sink& sink, long status, const std::string& what) {
    if (stopping_) return;
    sink.failures.add();
    ++sink.failures_in_a_row;
    if (status == too_large) sink.events_max = std::max<uint64_t>(sink.events_max / 2, 1);
    metrics::log::warn("webhook.failed", {{"webhook", sink.webhook.name},
                                          {"why", what},
                                          {"failures_in_a_row", sink.failures_in_a_row},
                                          {"events_waiting", feed_.last() - sink.cursor}});
}

void Webhooks::show(Sink& sink) const {
    const uint64_t last = feed_.last();
    sink.backlog.set(static_cast<double>(last - std::min(sink.cursor, last)));
}

Task<> Webhooks::rest(Instant until) {
    while (!stopping_ && reactor_.now() < until) co_await stopped_.wait_until(until);
}

}  // namespace ingest

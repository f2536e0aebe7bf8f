// WebhookSender: one webhook's requests, on a thread of its own, because libcurl and the event log
// block. Keeps its connection open between requests.
#pragma once

#include <atomic>
#include <expected>
#include <memory>
#include <string>

#include "ingest/webhook.h"
#include "storage/store.h"

namespace ingest {

/// The events of one request, as lines of JSON.
struct WebhookBatch {
    static constexpr size_t bytes_max = 4 << 20, looked_at_max = 100'000;
    uint64_t upto = 0;  // every event to here was looked at
    uint64_t events = 0;
    uint64_t first = 0, last = 0;  // of those that are in it
    std::string body;
    bool full = false;  // more may be there
};

/// Those behind `after` that the webhook wants, at most `events_max`.
storage::Result<WebhookBatch> webhook_batch(storage::Store& store, const Webhook& webhook,
                                            uint64_t after, uint64_t events_max);

/// "t=1790000000,v1=…": HMAC-SHA256, in hex, over "<t>.<body>".
std::string webhook_signature(std::string_view secret, int64_t seconds, std::string_view body);

class WebhookSender {
  public:
    explicit WebhookSender(Webhook webhook);
    ~WebhookSender();

    struct Failed {
        long status = 0;   // 0: there was no answer
        std::string what;  // for people
    };
    /// Blocks. Done when the receiver has answered with 2xx.
    std::expected<void, Failed> send(const WebhookBatch& batch, storage::WallTime now);
    /// Any thread: what is under way ends within a second or so.
    void stop() { stop_.store(true, std::memory_order_relaxed); }

  private:
    struct Curl;
    Webhook webhook_;
    std::unique_ptr<Curl> curl_;
    std::atomic<bool> stop_{false};
};

}  // namespace ingest

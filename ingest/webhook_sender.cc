#include "ingest/webhook_sender.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <span>

#include "ingest/event_json.h"
#include "ingest/setting_check.h"
#include "ingest/version.h"
#include "metrics/check.h"

namespace ingest {

namespace {

constexpr uint64_t page_events = 1000;
constexpr long connect_ms = 10'000;
constexpr size_t answer_kept = 200;  // octets of a refusal, for the log

void start_curl() {
    static const bool started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    CHECK(started, "libcurl can not start");
}

std::string hex(std::span<const unsigned char> octets) {
    std::string text;
    for (const unsigned char octet : octets) text += fmt::format("{:02x}", octet);
    return text;
}

/// The beginning of an answer, on one line.
std::string excerpt(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
    return text;
}

}  // namespace

storage::Result<WebhookBatch> webhook_batch(storage::Store& store, const Webhook& webhook,
                                            uint64_t after, uint64_t events_max) {
    WebhookBatch batch{.upto = after};
    for (uint64_t looked_at = 0; looked_at < WebhookBatch::looked_at_max;) {
        const auto page = store.events(batch.upto, page_events);
        if (!page) return std::unexpected(page.error());
        if (page->empty()) return batch;
        for (const storage::Event& event : *page) {
            if (webhook.filter.takes(event)) {
                if (batch.events == events_max || batch.body.size() >= WebhookBatch::bytes_max) {
                    batch.full = true;
                    return batch;
                }
                append_event(batch.body, event);
                batch.body += '\n';
                if (batch.events++ == 0) batch.first = event.seq;
                batch.last = event.seq;
            }
            batch.upto = event.seq;
            ++looked_at;
        }
    }
    batch.full = true;
    return batch;
}

std::string webhook_signature(std::string_view secret, int64_t seconds, std::string_view body) {
    const std::string text = fmt::format("{}.{}", seconds, body);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
    return fmt::format("t={},v1={}", seconds, hex({digest, size}));
}

struct WebhookSender::Curl {
    struct Free {
        void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
        void operator()(curl_slist* list) const { curl_slist_free_all(list); }
    };
    std::unique_ptr<CURL, Free> easy{curl_easy_init()};
    std::unique_ptr<curl_slist, Free> fields;
    std::string answer;
    char error[CURL_ERROR_SIZE] = {};

    void add(const std::string& field) {
        curl_slist* const longer = curl_slist_append(fields.get(), field.c_str());
        CHECK(longer, "no memory for a header field");
        (void)fields.release();
        fields.reset(longer);
    }
    static size_t take(const char* bytes, size_t one, size_t count, void* self) {
        std::string& answer = static_cast<Curl*>(self)->answer;
        answer.append(bytes,
                      std::min(one * count, answer_kept - std::min(answer.size(), answer_kept)));
        return one * count;
    }
    static int is_stopped(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
        return static_cast<std::atomic<bool>*>(stop)->load(std::memory_order_relaxed) ? 1 : 0;
    }
};

WebhookSender::WebhookSender(Webhook webhook) : webhook_(std::move(webhook)) {
    start_curl();
    curl_ = std::make_unique<Curl>();
    CHECK(curl_->easy, "libcurl can not start");
}
WebhookSender::~WebhookSender() = default;

std::expected<void, WebhookSender::Failed> WebhookSender::send(const WebhookBatch& batch,
                                                               storage::WallTime now) {
    Curl& curl = *curl_;
    CURL* const easy = curl.easy.get();
    curl.fields.reset();
    curl.answer.clear();
    curl.error[0] = 0;
    curl.add("Content-Type: application/x-ndjson");
    curl.add("Expect:");  // its 100 costs a round trip and servers that do not know it a second
    curl.add("Sluice-Webhook: " + webhook_.name);
    curl.add(fmt::format("Sluice-Events: {}-{}", batch.first, batch.last));
    if (!webhook_.secret_file.empty()) {
        const int64_t seconds =
            std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
        // Read each time: a new secret takes no restart.
        const std::string secret = secret_in(webhook_.secret_file);
        if (secret.empty())
            return std::unexpected(Failed{0, webhook_.secret_file + " cannot be read or is empty"});
        curl.add("Sluice-Signature: " + webhook_signature(secret, seconds, batch.body));
    }
    bool good = true;
    const auto set = [&](CURLoption option, auto value) {
        good &= curl_easy_setopt(easy, option, value) == CURLE_OK;
    };
    curl_easy_reset(easy);  // the connection stays
    set(CURLOPT_URL, webhook_.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(webhook_.timeout.count()));
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDS, batch.body.data());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(batch.body.size()));
    set(CURLOPT_HTTPHEADER, curl.fields.get());
    set(CURLOPT_ERRORBUFFER, curl.error);
    set(CURLOPT_WRITEFUNCTION, &Curl::take);
    set(CURLOPT_WRITEDATA, &curl);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Curl::is_stopped);
    set(CURLOPT_XFERINFODATA, &stop_);
    if (!webhook_.ca_file.empty()) set(CURLOPT_CAINFO, webhook_.ca_file.c_str());
    if (!good) return std::unexpected(Failed{0, "libcurl refuses the request"});
    const CURLcode code = curl_easy_perform(easy);
    if (code != CURLE_OK)
        return std::unexpected(Failed{0, curl.error[0] ? curl.error : curl_easy_strerror(code)});
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300) return {};
    return std::unexpected(
        Failed{status, fmt::format("the answer is {}: {}", status, excerpt(curl.answer))});
}

}  // namespace ingest

#include "engine/policy/https_fetcher.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <memory>

#include "metrics/check.h"

namespace engine {

namespace {

constexpr int poll_ms =
    1000;  // the thread is woken for new work; this bounds what a lost wake costs

/// Once a process, before any thread of it.
void start_curl() {
    static const bool started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    CHECK(started, "libcurl can not start");
}

bool is_about_the_certificate(CURLcode code) {
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR ||
           code == CURLE_SSL_INVALIDCERTSTATUS;
}

/// "mta-sts.x.test:443:192.0.2.1,[2001:db8::1]"
std::string resolve_entry(const HttpsRequest& request) {
    std::string entry = fmt::format("{}:{}:", request.host, request.port);
    for (const SocketAddress& address : request.addresses) {
        if (&address != &request.addresses.front()) entry += ',';
        entry += address.family() == AF_INET6 ? fmt::format("[{}]", address.ip()) : address.ip();
    }
    return entry;
}

struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct FreeEasy {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};

}  // namespace

/// In the frame of fetch(). The thread owns it between the two rings.
struct HttpsFetcher::Exchange {
    HttpsRequest request;
    HttpsAnswer answer;
    std::coroutine_handle<> waiter;
    bool too_large = false;
    std::unique_ptr<curl_slist, FreeList> resolve;
    std::unique_ptr<CURL, FreeEasy> easy;
    char error[CURL_ERROR_SIZE] = {};

    static size_t take(const char* bytes, size_t one, size_t count, void* self) {
        auto& exchange = *static_cast<Exchange*>(self);
        const size_t size = one * count;
        std::string& body = exchange.answer.body;
        if (size > exchange.request.body_bytes_max - body.size()) {
            exchange.too_large = true;
            return 0;  // ends the transfer
        }
        body.append(bytes, size);
        return size;
    }
    bool prepare(const std::string& ca_file);
    void finish(CURLcode code);
    void fail(std::string why) {
        answer = {.kind = HttpsAnswer::Kind::failed, .error = std::move(why)};
    }
};

bool HttpsFetcher::Exchange::prepare(const std::string& ca_file) {
    easy.reset(curl_easy_init());
    resolve.reset(curl_slist_append(nullptr, resolve_entry(request).c_str()));
    if (!easy || !resolve) return false;
    const std::string url =
        fmt::format("https://{}:{}{}", request.host, request.port, request.path);
    CURL* const handle = easy.get();
    bool good = true;
    const auto set = [&](CURLoption option, auto value) {
        good &= curl_easy_setopt(handle, option, value) == CURLE_OK;
    };
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "https");
    set(CURLOPT_RESOLVE, resolve.get());
    set(CURLOPT_PROXY, "");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!ca_file.empty()) {
        set(CURLOPT_CAINFO, ca_file.c_str());
        set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));  // these, and no others beside
    }
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_FRESH_CONNECT, 1L);
    set(CURLOPT_FORBID_REUSE, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    set(CURLOPT_ERRORBUFFER, error);
    set(CURLOPT_WRITEFUNCTION, &take);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_PRIVATE, this);
    return good;
}

void HttpsFetcher::Exchange::finish(CURLcode code) {
    if (code == CURLE_OK) {
        answer.kind = HttpsAnswer::Kind::answered;
        curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &answer.status);
        const char* type = nullptr;
        curl_easy_getinfo(easy.get(), CURLINFO_CONTENT_TYPE, &type);
        if (type) answer.content_type = type;
    } else if (too_large) {
        fail(fmt::format("the answer has more than {} octets", request.body_bytes_max));
    } else {
        fail(error[0] ? error : curl_easy_strerror(code));
        if (is_about_the_certificate(code)) answer.kind = HttpsAnswer::Kind::untrusted;
    }
}

/// What the thread does. Its own members are touched by it alone.
class HttpsFetcher::Loop {
  public:
    explicit Loop(HttpsFetcher& fetcher) : fetcher_(fetcher), multi_(fetcher.multi_) {}

    void run() {
        while (true) {
            const bool stopping = fetcher_.stop_.load(std::memory_order_acquire);
            for (Exchange* next = nullptr; fetcher_.todo_.pop(next);) begin(*next);
            if (stopping) {
                while (!running_.empty()) end(*running_.back(), "the engine is stopping");
                return;
            }
            int left = 0;
            curl_multi_perform(multi_, &left);
            collect();
            curl_multi_poll(multi_, nullptr, 0, poll_ms, nullptr);
        }
    }

  private:
    void begin(Exchange& exchange) {
        running_.push_back(&exchange);
        if (!exchange.prepare(fetcher_.ca_file_) ||
            curl_multi_add_handle(multi_, exchange.easy.get()) != CURLM_OK)
            end(exchange, "libcurl refuses the request");
    }
    void collect() {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
            if (message->msg != CURLMSG_DONE) continue;
            char* ended = nullptr;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &ended);
            auto& exchange = *reinterpret_cast<Exchange*>(ended);
            exchange.finish(message->data.result);
            give_back(exchange);
        }
    }
    void end(Exchange& exchange, const char* why) {
        exchange.fail(why);
        give_back(exchange);
    }
    void give_back(Exchange& exchange) {
        if (exchange.easy) curl_multi_remove_handle(multi_, exchange.easy.get());
        exchange.easy.reset();
        std::erase(running_, &exchange);
        // From here on it may be gone: its caller's frame lives on the shard.
        Exchange* done = &exchange;
        CHECK(fetcher_.done_.push(done), "the ring of fetched answers is full");
        fetcher_.reactor_.wake();
    }

    HttpsFetcher& fetcher_;
    CURLM* multi_;
    std::vector<Exchange*> running_;
};

struct HttpsFetcher::Handed {
    HttpsFetcher& fetcher;
    Exchange& exchange;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const {
        exchange.waiter = waiter;
        fetcher.waiting_.push_back(&exchange);
        fetcher.hand_over();
    }
    void await_resume() const noexcept {}
};

HttpsFetcher::HttpsFetcher(Reactor& reactor, std::string thread_name, std::string ca_file)
    : reactor_(reactor),
      thread_name_(thread_name.substr(0, 15)),
      ca_file_(std::move(ca_file)),
      todo_(in_flight_max),
      done_(in_flight_max) {
    start_curl();
    reactor.add_source(*this);
}

HttpsFetcher::~HttpsFetcher() {
    CHECK(waiting_.empty() && with_thread_ == 0, "a fetcher died while somebody waits for it");
    if (!thread_.joinable()) return;
    stop();
    thread_.join();
    curl_multi_cleanup(multi_);
}

Task<HttpsAnswer> HttpsFetcher::fetch(HttpsRequest request) {
    if (stop_.load(std::memory_order_relaxed))
        co_return HttpsAnswer{.error = "the engine is stopping"};
    Exchange exchange{.request = std::move(request)};
    co_await Handed{*this, exchange};
    co_return std::move(exchange.answer);
}

void HttpsFetcher::hand_over() {
    bool any = false;
    while (!waiting_.empty() && with_thread_ < in_flight_max) {
        CHECK(todo_.push(waiting_.front()), "the fetcher's ring is smaller than its limit");
        waiting_.pop_front();
        ++with_thread_;
        any = true;
    }
    if (!any) return;
    if (!thread_.joinable()) {
        multi_ = curl_multi_init();
        CHECK(multi_ != nullptr, "libcurl can not start");
        thread_ = std::thread([this] { Loop(*this).run(); });
        pthread_setname_np(thread_.native_handle(), thread_name_.c_str());
    }
    curl_multi_wakeup(multi_);
}

void HttpsFetcher::stop() {
    if (stop_.exchange(true, std::memory_order_release)) return;
    for (Exchange* exchange : waiting_) {
        exchange->fail("the engine is stopping");
        reactor_.post(exchange->waiter);
    }
    waiting_.clear();
    if (multi_) curl_multi_wakeup(multi_);
}

bool HttpsFetcher::drain() {
    bool any = false;
    for (Exchange* exchange = nullptr; done_.pop(exchange);) {
        --with_thread_;
        reactor_.post(exchange->waiter);
        any = true;
    }
    if (any && !stop_.load(std::memory_order_relaxed)) hand_over();
    return any;
}

}  // namespace engine

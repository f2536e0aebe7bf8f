#include "engine/dns/cares_client.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "engine/dns/dns_message.h"
#include "engine/dns/domain_name.h"

namespace engine {

namespace {

// Fits an unfragmented datagram on every path (DNS flag day 2020); longer answers come over TCP.
constexpr int edns_octets = 1232;
constexpr std::chrono::milliseconds tick_longest{250};

DnsAnswer failed(std::string why) {
    return {.status = DnsAnswer::Status::failed, .error = std::move(why)};
}

int code_of(DnsClient::Type type) {
    switch (type) {
        case DnsClient::Type::mx:
            return ns_t_mx;
        case DnsClient::Type::a:
            return ns_t_a;
        case DnsClient::Type::aaaa:
            return ns_t_aaaa;
        case DnsClient::Type::tlsa:
            return ns_t_tlsa;
        case DnsClient::Type::txt:
            return ns_t_txt;
        case DnsClient::Type::cname:
            return ns_t_cname;
    }
    return 0;
}

// Of the header's fourth octet (RFC 6840 5.7): in a question it asks a validating resolver to tell
// what it could authenticate.
constexpr unsigned char flag_ad = 0x20;

/// What an answer must guess: from the kernel, because the reactor's randomness can be computed
/// from what it gave before.
unsigned short question_id() {
    unsigned short id = 0;
    CHECK(getrandom(&id, sizeof id, 0) == sizeof id, "the kernel gives no randomness");
    return id;
}

bool is_loopback(const ares_addr_port_node& server) {
    if (server.family == AF_INET) return (ntohl(server.addr.addr4.s_addr) >> 24) == IN_LOOPBACKNET;
    in6_addr v6{};
    static_assert(sizeof v6 == sizeof server.addr.addr6);
    std::memcpy(&v6, &server.addr.addr6, sizeof v6);
    return IN6_IS_ADDR_LOOPBACK(&v6);
}

/// The form c-ares reads: always with a port. Nothing when it is no address.
std::optional<std::string> server_text(const std::string& server) {
    if (const auto alone = SocketAddress::from_ip(server, NS_DEFAULTPORT))
        return alone->to_string();
    const auto with_port = SocketAddress::parse(server);
    if (!with_port || with_port->family() == AF_UNIX || with_port->port() == 0) return std::nullopt;
    return with_port->to_string();
}

}  // namespace

/// Lives in the frame of query(); c-ares holds a pointer to it until it calls back.
struct CaresClient::Question {
    CaresClient& client;
    const std::string& name;
    Type type;
    std::coroutine_handle<> waiter;
    DnsAnswer answer;
};

/// c-ares may call back before ares_send returns; the answer is only posted, so the frame outlives
/// the call.
struct CaresClient::Asking {
    Question& question;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const {
        question.waiter = waiter;
        question.client.ask(question);
    }
    void await_resume() const noexcept {}
};

/// Whoever leaves a slot hands it to the first who waits.
struct CaresClient::SlotWait {
    CaresClient& client;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const { client.waiting_.push_back(waiter); }
    void await_resume() const noexcept {}
};

/// A socket of c-ares. It outlives its entry in watches_: c-ares closes a socket while our poll of
/// it is pending, and the number may be in use again before that poll has ended.
struct CaresClient::Watch {
    int fd;
    uint32_t events;
    bool closed = false;
    Op* pending = nullptr;
};

CaresClient::CaresClient(Reactor& reactor, CaresOptions options)
    : reactor_(reactor), options_(std::move(options)) {}

CaresClient::~CaresClient() {
    CHECK(in_flight_ == 0 && tasks_.running() == 0, "a DNS client died before it was stopped");
    if (channel_) ares_destroy(channel_);
}

Result<std::unique_ptr<CaresClient>> CaresClient::create(Reactor& reactor, CaresOptions options) {
    std::unique_ptr<CaresClient> client(new CaresClient(reactor, std::move(options)));
    if (auto opened = client->open(); !opened) return std::unexpected(std::move(opened).error());
    return client;
}

Result<void> CaresClient::open() {
    for (const std::string& server : options_.servers) {
        const auto text = server_text(server);
        if (!text) {
            return failure(
                Errc::dns,
                fmt::format("dns.servers: '{}' is no address of a DNS server; write it like "
                            "\"127.0.0.1:53\" or \"[::1]:53\"",
                            server));
        }
        servers_ += (servers_.empty() ? "" : ",") + *text;
    }
    ares_options settings{};
    // No STAYOPEN: a socket that is closed when it has no question left makes its port harder to
    // guess.
    settings.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
    settings.ednspsz = edns_octets;
    settings.timeout = static_cast<int>(options_.timeout.count());
    settings.tries = options_.tries;
    settings.sock_state_cb = on_socket;
    settings.sock_state_cb_data = this;
    int status = ares_init_options(&channel_, &settings,
                                   ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS |
                                       ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        channel_ = nullptr;
        return failure(Errc::dns,
                       fmt::format("the DNS client can not start: {}", ares_strerror(status)));
    }
    if (servers_.empty()) {
        servers_ = "the system's servers";
    } else {
        status = ares_set_servers_ports_csv(channel_, servers_.c_str());
        if (status != ARES_SUCCESS) {
            return failure(Errc::dns,
                           fmt::format("dns.servers: {}: {}", servers_, ares_strerror(status)));
        }
    }
    servers_are_local_ = all_servers_local();
    return {};
}

bool CaresClient::all_servers_local() const {
    ares_addr_port_node* first = nullptr;
    if (ares_get_servers_ports(channel_, &first) != ARES_SUCCESS || !first) return false;
    bool local = true;
    for (const ares_addr_port_node* server = first; server; server = server->next)
        local &= is_loopback(*server);
    ares_free_data(first);
    return local;
}

/// As ares_query does it, but for the AD bit, which it cannot set.
void CaresClient::ask(Question& question) {
    unsigned char* packet = nullptr;
    int size = 0;
    const int status = ares_create_query(question.name.c_str(), ns_c_in, code_of(question.type),
                                         question_id(), 1, &packet, &size, edns_octets);
    if (status != ARES_SUCCESS) return on_answer(&question, status, 0, nullptr, 0);
    packet[3] |= flag_ad;
    ares_send(channel_, packet, size, on_answer, &question);
    ares_free_string(packet);
}

Task<DnsAnswer> CaresClient::query(std::string name, Type type) {
    if (stopping_) co_return failed("the engine is stopping");
    // c-ares takes a C string and has escapes of its own: only plain names reach it.
    const auto plain = parse_domain(name);
    if (!plain) co_return failed(fmt::format("'{}' is no host name", name));
    if (in_flight_ < options_.in_flight_max) {
        ++in_flight_;
    } else {
        if (waiting_.size() >= options_.waiting_max) {
            co_return failed(fmt::format("{} DNS questions wait already", options_.waiting_max));
        }
        co_await SlotWait{*this};
    }
    if (stopping_) {
        leave_slot();
        co_return failed("the engine is stopping");
    }
    Question question{*this, *plain, type, nullptr, {}};
    if (!ticking_) {
        ticking_ = true;
        tasks_.spawn(tick());
    }
    co_await Asking{question};
    leave_slot();
    co_return std::move(question.answer);
}

void CaresClient::leave_slot() {
    if (waiting_.empty()) {
        --in_flight_;
        return;
    }
    reactor_.post(waiting_.front());
    waiting_.pop_front();
}

void CaresClient::on_answer(void* asked, int status, int, unsigned char* packet, int size) {
    auto& question = *static_cast<Question*>(asked);
    if (packet != nullptr && size > 0) {
        // Not by status: only the packet tells a name that is not there from one without records of
        // the type.
        const std::string_view octets(reinterpret_cast<const char*>(packet),
                                      static_cast<size_t>(size));
        question.answer = parse_dns_answer(octets, question.name, question.type);
        question.answer.authenticated &=
            question.client.servers_are_local_ && question.client.options_.believe_dnssec;
    } else {
        question.answer =
            failed(question.client.stopping_ ? "the engine is stopping" : ares_strerror(status));
    }
    if (!question.answer.error.empty())
        question.answer.error += fmt::format(" ({})", question.client.servers_);
    question.client.reactor_.post(question.waiter);
}

void CaresClient::on_socket(void* client, int fd, int readable, int writable) {
    static_cast<CaresClient*>(client)->interest(
        fd, (readable ? POLLIN : 0u) | (writable ? POLLOUT : 0u));
}

/// c-ares tells what it wants to know of a socket; nothing any more means that it closes it next.
void CaresClient::interest(int fd, uint32_t events) {
    const auto known = watches_.find(fd);
    if (known == watches_.end()) {
        if (events == 0) return;
        auto fresh = std::make_shared<Watch>(fd, events);
        watches_.emplace(fd, fresh);
        tasks_.spawn(watch(std::move(fresh)));
        return;
    }
    Watch& watch = *known->second;
    if (watch.events == events) return;
    watch.events = events;
    if (watch.pending) reactor_.cancel(*watch.pending);
    if (events == 0) {
        watch.closed = true;
        watches_.erase(known);
    }
}

Task<> CaresClient::watch(std::shared_ptr<Watch> watch) {
    while (!watch->closed) {
        Op poll{.kind = Op::Kind::poll, .fd = watch->fd, .poll_events = watch->events};
        watch->pending = &poll;
        const int events = co_await perform(reactor_, poll);
        watch->pending = nullptr;
        if (watch->closed) break;
        if (events == -ECANCELED) continue;  // the interest has changed
        if (events < 0) {
            // The kernel does not poll it, so asking again would spin. Its questions end by their
            // timeouts.
            watches_.erase(watch->fd);
            break;
        }
        const auto any_of = [&](int wanted) {
            return (events & (wanted | POLLERR | POLLHUP)) ? watch->fd : ARES_SOCKET_BAD;
        };
        ares_process_fd(channel_, any_of(POLLIN), any_of(POLLOUT));
    }
}

/// Sees to timeouts while anything is in flight.
Task<> CaresClient::tick() {
    while (in_flight_ > 0 && !stopping_) {
        timeval most{.tv_sec = 0, .tv_usec = std::chrono::microseconds(tick_longest).count()};
        timeval next{};
        const timeval* wait = ares_timeout(channel_, &most, &next);
        const auto pause =
            std::chrono::seconds(wait->tv_sec) + std::chrono::microseconds(wait->tv_usec);
        Op sleep{.kind = Op::Kind::sleep,
                 .deadline = reactor_.now() + std::max<std::chrono::microseconds>(pause, 1ms)};
        tick_ = &sleep;
        co_await perform(reactor_, sleep);
        tick_ = nullptr;
        if (!stopping_) ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    ticking_ = false;
}

Task<> CaresClient::stop() {
    if (stopping_) co_return;
    stopping_ = true;
    if (tick_) reactor_.cancel(*tick_);
    // Each who waits gets a slot, finds that we stop, and gives it back.
    in_flight_ += waiting_.size();
    for (const std::coroutine_handle<> waiter : waiting_) reactor_.post(waiter);
    waiting_.clear();
    ares_destroy(
        std::exchange(channel_, nullptr));  // calls back for each question, and for each socket
    co_await tasks_.join();
    struct LaterTurn {
        Reactor& reactor;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> handle) const { reactor.post(handle); }
        void await_resume() const noexcept {}
    };
    while (in_flight_ > 0) co_await LaterTurn{reactor_};
}

}  // namespace engine

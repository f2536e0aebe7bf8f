#include "engine/delivery/site.h"

#include <algorithm>

#include "engine/net/dialer.h"
#include "engine/reactor/sleep.h"
#include "engine/smtp/session.h"
#include "metrics/catalog.h"
#include "metrics/check.h"
#include "metrics/log.h"

namespace engine {

namespace catalog = metrics::catalog;

namespace {

constexpr auto hold_first =
    std::chrono::seconds(1);  // after a connection that could not be opened; doubles
constexpr auto hold_last = std::chrono::seconds(60);

bool has_octets_above_127(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) > 127; });
}

uint64_t milliseconds_between(Instant start, Instant end) {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(end - start).count());
}

Attempt without_address(const NoRoute& why, const std::string& host, WallTime now) {
    Attempt attempt;
    attempt.mx = host;
    attempt.started = now;
    attempt.verdict.stage = Stage::dns;
    attempt.verdict.reply = {why.code, why.enhanced, why.reason};
    return attempt;
}

/// By preference, equal ones in a new order for each connection: the load is theirs to share (RFC
/// 5321 5.1), and a cached route would send all of it to one of them.
std::vector<MxHost> in_order(const Route& route, std::mt19937_64& random) {
    std::vector<MxHost> hosts = route.hosts;
    for (auto first = hosts.begin(); first != hosts.end();) {
        const auto last = std::find_if(first, hosts.end(), [&](const MxHost& host) {
            return host.preference != first->preference;
        });
        std::shuffle(first, last, random);
        first = last;
    }
    return hosts;
}

double seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

/// Counts up for as long as it lives.
class Counted {
  public:
    explicit Counted(size_t& count, size_t by = 1) : count_(count), by_(by) { count_ += by_; }
    ~Counted() { count_ -= by_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

  private:
    size_t& count_;
    size_t by_;
};

}  // namespace

Site::Site(SiteParts parts, SitePolicy policy)
    : parts_(std::move(parts)),
      policy_(std::move(policy)),
      work_(parts_.reactor),
      timer_(parts_.reactor),
      busy_gauge_(parts_.metrics.gauge(catalog::connections, {policy_.provider, "busy"})),
      idle_gauge_(parts_.metrics.gauge(catalog::connections, {policy_.provider, "idle"})),
      opened_(parts_.metrics.counter(catalog::connections_opened, {policy_.provider, "ok"})),
      open_failed_(
          parts_.metrics.counter(catalog::connections_opened, {policy_.provider, "failed"})),
      connect_seconds_(parts_.metrics.histogram(catalog::smtp_stage_duration, {"connect"})),
      greet_seconds_(parts_.metrics.histogram(catalog::smtp_stage_duration, {"ehlo"})),
      envelope_seconds_(parts_.metrics.histogram(catalog::smtp_stage_duration, {"mail"})),
      content_seconds_(parts_.metrics.histogram(catalog::smtp_stage_duration, {"body"})) {}

Site::~Site() = default;

void Site::take(std::shared_ptr<const Route> route, std::vector<Loan> loans) {
    if (draining_) return;  // the loans go home as they die
    route_ = std::move(route);
    for (Loan& loan : loans) {
        ready_.push(std::move(loan));
        work_.notify_one();  // one idle connection a loan: waking all of them costs more than
                             // sending
    }
    fill();
}

/// Opens connections while there is work that no open one is free for, within the site's limit.
void Site::fill() {
    // A connection that waits for the rate's next slot shows that more of them would not send more.
    if (draining_ || ready_.empty() || pacing_ > 0) return;
    const Instant now = parts_.reactor.now();
    if (now < hold_until_) {
        if (std::exchange(fill_waits_, true)) return;
        scope_.spawn(fill_later(hold_until_));
        return;
    }
    const size_t limit = policy_.limits.connections == 0 ? SIZE_MAX : policy_.limits.connections;
    // A host that failed is tried with one connection before it is stormed again.
    const size_t connecting = failures_in_a_row_ > 0 ? 1 : connecting_max;
    while (connecting_ < connecting && connecting_ + idle_ < ready_.size() && live_ < limit)
        scope_.spawn(connection(route_));
}

Task<> Site::fill_later(Instant at) {
    while (!draining_ && parts_.reactor.now() < at) co_await timer_.wait_until(at);
    fill_waits_ = false;
    fill();
}

Task<> Site::connection(std::shared_ptr<const Route> route) {
    {
        const Counted live(live_);
        co_await run_connection(std::move(route));
    }
    fill();
}

Task<> Site::run_connection(std::shared_ptr<const Route> route) {
    Opened opened;
    {
        const Counted connecting(connecting_);
        opened = co_await open(std::move(route));
    }
    if (!opened) {
        open_failed_.add();
        not_opened(std::move(opened.error()));
        co_return;
    }
    opened_.add();
    failures_in_a_row_ = 0;
    Connection& connection = **opened;
    const auto listed = open_streams_.insert(open_streams_.end(), connection.stream.get());
    co_await serve(connection);
    open_streams_.erase(listed);
    connection.stream->close();
}

Task<> Site::serve(Connection& connection) {
    Session& session = *connection.session;
    const uint32_t limit = policy_.limits.messages_per_connection;
    bool usable = true;
    while (usable && (limit == 0 || session.transactions() < limit)) {
        if (!co_await work_before(parts_.reactor.now() + parts_.settings->idle)) break;
        co_await wait_for_rate();
        std::vector<Loan> loans = pull();
        if (loans.empty()) continue;
        const Counted busy(busy_);
        busy_gauge_.add(1);
        const Counted sending(sending_, loans.size());
        fill();  // there may be more work than this
        const WallTime started = parts_.reactor.wall();
        const Instant start = parts_.reactor.now();
        Outcome outcome = co_await session.transact(mail_for(loans, connection));
        busy_gauge_.add(-1);
        usable = outcome.connection_usable;
        envelope_seconds_.observe(seconds(outcome.envelope));
        if (outcome.content.count() > 0) content_seconds_.observe(seconds(outcome.content));
        settle(std::move(loans), std::move(outcome), connection, started,
               milliseconds_between(start, parts_.reactor.now()));
    }
    if (usable) co_await session.quit();
}

/// Waits for a loan. False: none came in time, or we stop.
Task<bool> Site::work_before(Instant deadline) {
    if (ready_.empty() && !draining_) {
        const Counted idle(idle_);
        idle_gauge_.add(1);
        while (ready_.empty() && !draining_ && parts_.reactor.now() < deadline)
            co_await work_.wait_until(deadline);
        idle_gauge_.add(-1);
    }
    co_return !ready_.empty() && !draining_;
}

Task<> Site::wait_for_rate() {
    if (policy_.limits.rate_per_second <= 0) co_return;
    const auto gap = std::chrono::duration_cast<Instant::duration>(
        std::chrono::duration<double>(1 / policy_.limits.rate_per_second));
    const Instant slot = std::max(parts_.reactor.now(), next_send_);
    next_send_ = slot + gap;
    const Counted pacing(pacing_);
    while (!draining_ && parts_.reactor.now() < slot) co_await timer_.wait_until(slot);
}

std::vector<Loan> Site::pull() {
    std::vector<Loan> loans;
    const WallTime now = parts_.reactor.wall();
    while (auto loan = ready_.pop()) {
        if (now >= loan->terms().delivery.expires) continue;  // goes home, where it expires
        loans.push_back(std::move(*loan));
        break;
    }
    if (loans.empty() || !loans.front().terms().job->content()->same_for_all()) return loans;
    while (loans.size() < recipients_per_transaction) {
        auto next = ready_.pop_same_job(loans.front());
        if (!next) break;
        if (now < next->terms().delivery.expires) loans.push_back(std::move(*next));
    }
    return loans;
}

Mail Site::mail_for(const std::vector<Loan>& loans, Connection& connection) const {
    const LoanTerms& first = loans.front().terms();
    const Content& content = *first.job->content();
    Mail mail;
    mail.sender = first.job->job().sender;
    mail.eight_bit = content.eight_bit();
    mail.lock_step = lock_step_hosts_.contains(connection.mx);
    mail.utf8_addresses = has_octets_above_127(mail.sender);
    for (const Loan& loan : loans) {
        mail.recipients.push_back(loan.terms().delivery.recipient);
        mail.utf8_addresses |= has_octets_above_127(mail.recipients.back());
    }
    if (content.same_for_all() && connection.rendered &&
        connection.rendered_job == first.job->job().id) {
        mail.content = connection.rendered;
        return mail;
    }
    mail.content = std::make_shared<const std::string>(content.render(
        {.id = first.delivery.id, .to = first.delivery.recipient, .vars = first.delivery.vars}));
    if (content.same_for_all()) {
        connection.rendered = mail.content;
        connection.rendered_job = first.job->job().id;
    }
    return mail;
}

void Site::settle(std::vector<Loan> loans, Outcome outcome, const Connection& connection,
                  WallTime started, uint64_t smtp_ms) {
    CHECK(outcome.verdicts.size() == loans.size(),
          "a transaction gave not one verdict per recipient");
    if (outcome.lock_step) lock_step_hosts_.insert(connection.mx);
    // Back in front in their old order.
    for (size_t i = loans.size(); i-- > 0;) {
        Loan& loan = loans[i];
        Verdict& verdict = outcome.verdicts[i];
        // The host lost its way in a pipelined group: the same mail goes again one command at a
        // time.
        if (outcome.lock_step && verdict.kind == Verdict::Kind::deferred && !verdict.in_doubt)
            verdict.kind = Verdict::Kind::untried;
        if (verdict.kind == Verdict::Kind::untried) {
            if (draining_) continue;  // goes home as it dies
            if (loan.terms().untried < untried_max) {
                loan.count_untried();
                ready_.push_front(std::move(loan));
                work_.notify_one();
                continue;
            }
            verdict.kind = Verdict::Kind::deferred;
        }
        loan.settle({std::move(verdict), connection.mx, connection.ip, policy_.site,
                     policy_.provider, started, smtp_ms});
    }
}

Task<Site::Opened> Site::open(std::shared_ptr<const Route> route) {
    Attempt none;
    none.verdict.stage = Stage::connect;
    none.verdict.reply.text = "no host was left to try";
    none.started = parts_.reactor.wall();
    Opened last = std::unexpected(std::move(none));
    size_t tried = 0;
    bool hopeless = true;  // no host has an address, and none ever will
    for (const MxHost& host : in_order(*route, parts_.reactor.random())) {
        const auto endpoints = co_await parts_.resolver.addresses(host.name, host.port);
        if (!endpoints) {
            hopeless &= endpoints.error().permanent;
            last = std::unexpected(
                without_address(endpoints.error(), host.name, parts_.reactor.wall()));
            continue;
        }
        for (const Endpoint& endpoint : *endpoints) {
            if (cut_ || tried++ >= addresses_max) co_return last;
            hopeless = false;
            last = co_await open_at(endpoint);
            if (last) co_return last;
        }
    }
    if (hopeless && !last) last.error().verdict.kind = Verdict::Kind::bounced;
    co_return last;
}

Task<Site::Opened> Site::open_at(Endpoint endpoint) {
    const SmtpTimeouts& timeouts = parts_.settings->timeouts;
    Attempt attempt;
    attempt.mx = endpoint.host;
    attempt.ip = endpoint.address.ip();
    attempt.started = parts_.reactor.wall();
    const Instant start = parts_.reactor.now();
    auto stream =
        co_await dial(parts_.reactor, endpoint.address, nullptr, start + timeouts.connect);
    if (!stream) {
        attempt.verdict.stage = Stage::connect;
        attempt.verdict.reply.text = stream.error().code == Errc::timeout
                                         ? "no connection within the connect timeout"
                                         : std::string("connection failed: ") + stream.error().what;
        co_return std::unexpected(std::move(attempt));
    }
    const Instant connected = parts_.reactor.now();
    connect_seconds_.observe(seconds(connected - start));
    auto connection = std::make_unique<Connection>();
    connection->mx = attempt.mx;
    connection->ip = attempt.ip;
    connection->stream = std::move(*stream);
    connection->session = std::make_unique<Session>(*connection->stream, parts_.reactor, timeouts);
    const auto listed = open_streams_.insert(open_streams_.end(), connection->stream.get());
    auto greeted = co_await connection->session->greet(parts_.settings->node_name);
    open_streams_.erase(listed);
    greet_seconds_.observe(seconds(parts_.reactor.now() - connected));
    if (!greeted) {
        connection->stream->close();
        attempt.verdict = std::move(greeted.error());
        // A host that refuses us here refuses the connection, not the recipient: another host or
        // another time.
        attempt.verdict.kind = Verdict::Kind::deferred;
        attempt.smtp_ms = milliseconds_between(start, parts_.reactor.now());
        co_return std::unexpected(std::move(attempt));
    }
    co_return connection;
}

/// No host took a connection. While others of the site work, that only slows down how many there
/// are; when none does, what waits here is put off with the reason.
void Site::not_opened(Attempt attempt) {
    // Connections that were dialled together fail together: that is one failure of the host, or a
    // short outage would be answered with the longest hold.
    const Instant now = parts_.reactor.now();
    if (now >= hold_until_) {
        ++failures_in_a_row_;
        hold_until_ =
            now + std::min<std::chrono::seconds>(
                      hold_first * (1u << std::min(failures_in_a_row_ - 1, 6u)), hold_last);
    }
    if (draining_) return;
    if (live_ == 1) {  // this one was the last
        attempt.site = policy_.site;
        attempt.provider = policy_.provider;
        metrics::log::info(
            "site.unreachable",
            {{"site", policy_.site},
             {"mx", attempt.mx},
             {"stage", to_string(attempt.verdict.stage)},
             {"code", attempt.verdict.reply.code},
             {"reply", attempt.verdict.reply.text},
             {"deferred", ready_.size()},
             {"next_in", std::chrono::ceil<std::chrono::seconds>(hold_until_ - now)}});
        for (Loan& loan : ready_.take_all()) loan.settle(attempt);
    }
}

void Site::drain() {
    draining_ = true;
    ready_.take_all();  // they go home as they die
    work_.notify_all();
    timer_.notify_all();
}

void Site::cut() {
    cut_ = true;
    for (Stream* stream : open_streams_) stream->close();
}

Site::Status Site::status() const {
    return {.ready = ready_.size(), .sending = sending_, .busy = busy_, .idle = idle_};
}

}  // namespace engine

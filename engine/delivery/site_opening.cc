// How a site opens a connection: the hosts of its route in order, their addresses, dial and
// greeting.
#include <algorithm>

#include "engine/delivery/counted.h"
#include "engine/delivery/elapsed.h"
#include "engine/delivery/outcome_table.h"
#include "engine/delivery/site.h"
#include "engine/net/dialer.h"
#include "engine/smtp/session.h"
#include "metrics/log.h"

namespace engine {

namespace {

constexpr auto hold_first =
    std::chrono::seconds(1);  // after a connection that could not be opened; doubles
constexpr auto hold_last = std::chrono::seconds(60);

Attempt without_address(const NoRoute& why, const std::string& host, WallTime now) {
    Attempt attempt;
    attempt.mx = host;
    attempt.started = now;
    attempt.verdict = verdict_of(why);
    attempt.verdict.kind = Verdict::Kind::deferred;  // other hosts may have one
    return attempt;
}

bool is_final(const Verdict& verdict) {
    return outcome_row(verdict).at_last == Course::bounce;
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

}  // namespace

Task<Site::Opened> Site::open(std::shared_ptr<const Route> route) {
    Attempt none;
    none.verdict.stage = Stage::connect;
    none.verdict.reply.text = "no host was left to try";
    none.started = parts_.reactor.wall();
    Opened last = std::unexpected(std::move(none));
    size_t tried = 0;
    bool hopeless = true;  // whatever was said was final, by every host
    for (const MxHost& host : in_order(*route, parts_.reactor.random())) {
        const auto endpoints = co_await parts_.resolver.addresses(host.name, host.port);
        if (!endpoints) {
            last = std::unexpected(
                without_address(endpoints.error(), host.name, parts_.reactor.wall()));
            hopeless &= is_final(last.error().verdict);
            continue;
        }
        for (const Endpoint& endpoint : *endpoints) {
            if (cut_ || tried++ >= addresses_max) co_return last;
            last = co_await open_at(endpoint);
            if (last) co_return last;
            hopeless &= is_final(last.error().verdict);
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
        attempt.verdict = verdict_of_dial(stream.error());
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

}  // namespace engine

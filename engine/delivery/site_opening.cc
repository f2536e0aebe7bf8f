// How a site opens a connection: the hosts of its route in order, their addresses, dial and
// greeting.
#include <fmt/format.h>

#include <algorithm>

#include "engine/delivery/connection_tap.h"
#include "engine/delivery/counted.h"
#include "engine/delivery/elapsed.h"
#include "engine/delivery/host_memory.h"
#include "engine/delivery/introduction.h"
#include "engine/delivery/outcome_table.h"
#include "engine/delivery/site.h"
#include "engine/net/dialer.h"
#include "engine/net/egress_proxy.h"
#include "engine/policy/host_demand.h"
#include "engine/smtp/session.h"
#include "metrics/catalog.h"
#include "metrics/log.h"

namespace engine {

namespace {

constexpr auto hold_first =
    std::chrono::seconds(1);  // after a connection that could not be opened; doubles
constexpr auto hold_last = std::chrono::seconds(60);
/// A host whose TLS failed is not asked for it again meanwhile. Not for long: somebody on the way
/// who breaks handshakes would have that much time for each.
constexpr auto without_tls_for = std::chrono::minutes(10);

Attempt without_address(const NoRoute& why, const std::string& host, WallTime now) {
    Attempt attempt;
    attempt.mx = host;
    attempt.started = now;
    attempt.verdict = verdict_of(why);
    attempt.verdict.kind = Verdict::Kind::deferred;  // other hosts may have one
    return attempt;
}

/// Nothing was tried: the host has addresses, but this source cannot speak to them.
Attempt out_of_family(const SourceSettings& source, const std::string& host, WallTime now) {
    Attempt attempt;
    attempt.mx = host;
    attempt.started = now;
    attempt.verdict.stage = Stage::connect;
    attempt.verdict.failure = Failure::unreachable;
    attempt.verdict.reply.text =
        fmt::format("{} has no {} address for source {}", host,
                    source.address->family() == AF_INET ? "IPv4" : "IPv6", source.name);
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

Task<Site::Opened> Site::open(std::shared_ptr<const Route> route, Way* way) {
    Attempt none;
    none.verdict.stage = Stage::connect;
    none.verdict.reply.text = "no host was left to try";
    none.started = parts_.reactor.wall();
    Opened last = std::unexpected(std::move(none));
    size_t tried = 0;
    bool hopeless = true;  // whatever was said was final, by every host
    for (const MxHost& host : in_order(*route, parts_.reactor.random())) {
        auto demand = co_await demand_at(route, host);
        if (!demand) {
            hopeless = false;
            ObservedTls session = session_of(*demand_);
            if (demand.error().failure == Failure::policy_unknown)
                session.dane = ObservedTls::Dane::unknown;
            last = std::unexpected(Attempt{.verdict = std::move(demand.error()),
                                           .mx = host.name,
                                           .session = session,
                                           .started = parts_.reactor.wall()});
            continue;
        }
        auto endpoints = co_await parts_.resolver.addresses(host.name, host.port);
        if (!endpoints) {
            last = std::unexpected(
                without_address(endpoints.error(), host.name, parts_.reactor.wall()));
            hopeless &= is_final(last.error().verdict);
            continue;
        }
        if (const auto& from = way->path->from->address; from) {
            std::erase_if(*endpoints, [&](const Endpoint& endpoint) {
                return endpoint.address.family() != from->family();
            });
            if (endpoints->empty()) {
                hopeless = false;  // another source may reach it
                last = std::unexpected(
                    out_of_family(*way->path->from, host.name, parts_.reactor.wall()));
            }
        }
        for (const Endpoint& endpoint : *endpoints) {
            if (draining_ || tried++ >= addresses_max) co_return last;
            last = co_await open_at(endpoint, host, *demand, way);
            if (last) co_return last;
            hopeless &= is_final(last.error().verdict);
        }
    }
    if (hopeless && !last) last.error().verdict.kind = Verdict::Kind::bounced;
    co_return last;
}

/// One address of a host. A host whose TLS fails is spoken to in plaintext where nobody demands
/// more, on a new connection, and for a while at once.
Task<Site::Opened> Site::open_at(Endpoint endpoint, MxHost host, TlsDemand demand, Way* way) {
    const bool may_go_plain = demand.least == TlsLevel::plain && !host.tls_first;
    if (const auto failed = std::ranges::find(without_tls_, host.name, &TlsFailed::first);
        may_go_plain && failed != without_tls_.end() && parts_.reactor.now() < failed->second) {
        demand.use = TlsDemand::Use::never;
        Opened plain =
            co_await open_once(std::move(endpoint), std::move(host), std::move(demand), way);
        if (plain) (*plain)->tls_session.failure = TlsFailure::handshake;
        co_return plain;
    }
    Opened opened = co_await open_once(endpoint, host, demand, way);
    const bool by_tls = !opened && opened.error().verdict.stage == Stage::tls;
    if (!by_tls || !may_go_plain || draining_) co_return opened;
    metrics::log::info(
        "site.without_tls",
        {{"site", policy_.site}, {"mx", host.name}, {"why", opened.error().verdict.reply.text}});
    if (without_tls_.size() >= without_tls_max) without_tls_.clear();
    std::erase_if(without_tls_, [&](const TlsFailed& one) { return one.first == host.name; });
    without_tls_.emplace_back(host.name, parts_.reactor.now() + without_tls_for);
    demand.use = TlsDemand::Use::never;
    opened = co_await open_once(std::move(endpoint), std::move(host), std::move(demand), way);
    if (opened) (*opened)->tls_session.failure = TlsFailure::handshake;
    co_return opened;
}

/// What the mail and the DNS demand of this host together; the error is why it is not for this
/// mail.
Task<std::expected<TlsDemand, Verdict>> Site::demand_at(std::shared_ptr<const Route> route,
                                                        MxHost host) {
    Verdict refused{.kind = Verdict::Kind::deferred, .stage = Stage::tls};
    TlsDemand demand = *demand_;
    if (!demand.waives_dns) {
        auto whole = co_await demand_for(parts_.resolver, *demand_, std::move(route), host);
        if (!whole) {
            refused.failure = Failure::policy_unknown;
            refused.reply = {whole.error().code, whole.error().enhanced, whole.error().reason};
            co_return std::unexpected(std::move(refused));
        }
        demand = std::move(*whole);
    }
    if (may_go_to(demand, host.name)) co_return demand;
    refused.failure = Failure::tls_untrusted;
    refused.reply.text = demand.policy + " does not name " + host.name + " as a host of the domain";
    co_return std::unexpected(std::move(refused));
}

/// For TLS reports: a new session, held to this demand. None where policies do not count: the
/// operator has turned TLS off, or the mail waives them.
ObservedTls Site::session_of(const TlsDemand& demand) const {
    using Dane = ObservedTls::Dane;
    if (demand_->use == TlsDemand::Use::never || demand_->waives_dns) return {};
    ObservedTls session{.number = parts_.reactor.random()() | 1};
    if (demand.tlsa_unusable) session.dane = Dane::unusable;
    if (demand.least == TlsLevel::dane) session.dane = Dane::usable;
    return session;
}

void Site::count_handshake(const Connection& connection, const std::expected<void, Verdict>& done) {
    const TlsResult& result = connection.session->tls();
    const bool stands = result.level > TlsLevel::plain;  // more may have failed behind it
    if (!stands && (done || done.error().failure != Failure::tls_failed)) return;
    parts_.metrics
        .counter(metrics::catalog::tls_handshakes,
                 {stands ? std::string_view(result.version) : "none", result.resumed ? "yes" : "no",
                  stands ? to_string(result.level) : "failed"})
        .add();
}

TracedConnection Site::described(const Connection& connection) const {
    return {.id = parts_.traces.next_connection(),
            .site = policy_.site,
            .provider = policy_.provider,
            .source = connection.way->path->from->name,
            .mx = connection.mx,
            .ip = connection.ip};
}

/// A part of the snapshot, which lives as long as it: a session's copy would be 64 octets.
std::shared_ptr<const SmtpTimeouts> Site::timeouts_in_force() const {
    const std::shared_ptr<const Settings> snapshot = parts_.settings.snapshot();
    return {snapshot, &snapshot->timeouts};
}

Task<Site::Opened> Site::open_once(Endpoint endpoint, MxHost host, TlsDemand demand, Way* way) {
    const auto timeouts = timeouts_in_force();
    Attempt attempt;
    attempt.mx = endpoint.host;
    attempt.ip = endpoint.address.ip();
    attempt.started = parts_.reactor.wall();
    const Instant start = parts_.reactor.now();
    const std::shared_ptr<const SourceSettings> source = way->path->from;
    const SourceSettings& from = *source;
    auto connection = std::make_unique<Connection>();
    connection->way = way;
    connection->mx = attempt.mx;
    connection->ip = attempt.ip;
    connection->tap = std::make_unique<ConnectionTap>(
        parts_.traces, [this, of = connection.get()] { return described(*of); }, ready_);
    ConnectionTap& tap = *connection->tap;
    if (tap.listens()) tap.note("connecting to " + endpoint.address.to_string());
    const std::optional<EgressProxy> proxy = from.proxy;
    const std::optional<SocketAddress> local = from.address;
    const Instant connect_by = start + timeouts->connect;
    auto stream = proxy ? co_await dial_through(parts_.reactor, *proxy, endpoint.address, local,
                                                connect_by, &dials_)
                        : co_await dial(parts_.reactor, endpoint.address, local ? &*local : nullptr,
                                        connect_by, &dials_);
    if (!stream) {
        attempt.verdict = verdict_of_dial(stream.error());
        if (proxy && stream.error().code == Errc::timeout)
            attempt.verdict.reply.text += ", by way of the proxy " + proxy->address;
        if (tap.listens()) tap.note(attempt.verdict.reply.text);
        co_return std::unexpected(std::move(attempt));
    }
    if (draining_) {
        (*stream)->close();
        co_return std::unexpected(std::move(attempt));
    }
    const Instant connected = parts_.reactor.now();
    parts_.stages.connect.observe(seconds(connected - start));
    if (tap.listens())
        tap.note(fmt::format("connected in {} ms", milliseconds_between(start, connected)));
    connection->tls_session = session_of(demand);
    connection->stream = std::move(*stream);
    connection->session = std::make_unique<Session>(*connection->stream, parts_.reactor, timeouts);
    connection->session->let_listen(tap);
    const Limits& limits = way->limits;
    connection->session->plan({.depth = limits.depth,
                               .next = limits.next,
                               .window = limits.window,
                               .messages_max = limits.messages_per_connection},
                              parts_.hosts.of(endpoint.host, endpoint.address.port()));
    Stream* const listed = greeting_.emplace_back(connection->stream.get());
    using Line = Introduction::Line;
    const bool unheard = endpoint.address.is_loopback() || limits.tls == TlsPolicy::none;
    auto introduced = co_await engine::introduce(
        {.session = connection->session.get(),
         .ehlo_name = from.ehlo.empty() ? parts_.settings->node_name : from.ehlo,
         .tls_first = host.tls_first,
         .tls = {.context = parts_.tls.context,
                 .sessions = &parts_.tls.sessions,
                 .worker = &parts_.tls.worker,
                 .host = std::move(host.name),
                 .demand = std::move(demand)},
         .credentials = policy_.credentials,
         .line = unheard ? Line::closed : Line::open});
    std::erase(greeting_, listed);
    parts_.stages.greet.observe(seconds(parts_.reactor.now() - connected));
    count_handshake(*connection, introduced);
    const TlsResult& has = connection->session->tls();
    if (has.level > TlsLevel::plain)
        connection->tls = std::make_unique<const std::string>(to_string(has));
    connection->tls_session.level = has.level;
    connection->tls_session.failure = has.failure;
    if (!introduced) {
        connection->stream->close();
        attempt.verdict = std::move(introduced.error());
        if (connection->tls) attempt.tls = *connection->tls;
        if (attempt.verdict.stage == Stage::tls) attempt.session = connection->tls_session;
        attempt.smtp_ms = milliseconds_between(start, parts_.reactor.now());
        co_return std::unexpected(std::move(attempt));
    }
    co_return connection;
}

/// No host took a connection. While others of the site work, or another source may fare better,
/// that only slows down how many there are; else what waits here is put off with the reason.
void Site::not_opened(Attempt attempt, Way* way) {
    const Instant now = parts_.reactor.now();
    const Verdict& verdict = attempt.verdict;
    Path& path = *way->path;
    way->why = verdict.reply.text;
    automate(verdict, attempt.mx, path);
    const bool greeted = verdict.stage == Stage::banner || verdict.stage == Stage::ehlo;
    const bool refused = greeted && parts_.settings->bounce_rules->classify(verdict, attempt.mx) ==
                                        BounceClass::throttled;
    if (budget_->is_of_another_shard()) return not_opened_here(attempt, *way, refused);
    PathWord word{.of = PathWord::Of::opening, .verdict = verdict, .mx = attempt.mx};
    if (refused && path.open + path.open_elsewhere > 0) {
        refuse_connection(path, word);
        budget_->tell(path, std::move(word));
        way->hold_until = std::max(way->hold_until, now + hold_first);
        return;
    }
    budget_->tell(path, std::move(word));
    // Connections that were dialled together fail together: that is one failure of the host, or a
    // short outage would be answered with the longest hold.
    if (now >= way->hold_until) {
        ++way->failures_in_a_row;
        way->hold_until =
            now + std::min<std::chrono::seconds>(
                      hold_first * (1u << std::min(way->failures_in_a_row - 1, 6u)), hold_last);
    }
    const bool others = std::ranges::any_of(
        ways_, [&](const Way& other) { return now >= other.hold_until && !rests(*other.path); });
    if (draining_ || live_ > 1 || others) return;
    attempt.source = path.from->name;
    put_off(std::move(attempt));
}

void Site::put_off(Attempt attempt) {
    attempt.site = policy_.site;
    attempt.provider = policy_.provider;
    Instant next = Instant::max();
    for (const Way& way : ways_) next = std::min(next, way.hold_until);
    metrics::log::info(
        "site.unreachable",
        {{"site", policy_.site},
         {"source", attempt.source},
         {"mx", attempt.mx},
         {"stage", to_string(attempt.verdict.stage)},
         {"code", attempt.verdict.reply.code},
         {"reply", attempt.verdict.reply.text},
         {"deferred", ready_.size()},
         {"next_in", std::chrono::ceil<std::chrono::seconds>(next - parts_.reactor.now())}});
    for (Loan& loan : ready_.take_all()) loan.settle(attempt);
    give_back_admissions();
}

}  // namespace engine

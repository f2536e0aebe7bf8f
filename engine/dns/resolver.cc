#include "engine/dns/resolver.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "engine/dns/address_policy.h"
#include "engine/dns/domain_name.h"
#include "engine/dns/site.h"
#include "engine/dns/ttl_cache.h"
#include "engine/reactor/scope.h"
#include "metrics/catalog.h"

namespace engine {

namespace {

constexpr size_t hosts_max = 100;  // of one route; the best are kept. Real sets have up to twenty
constexpr size_t addresses_max = 100;  // of one host

using std::chrono::seconds;
using RouteAnswer = std::expected<std::shared_ptr<const Route>, NoRoute>;
/// A host and how far DNSSEC vouches for it.
struct HostFacts {
    std::vector<IpAddress> addresses;
    std::string canonical;  // what its CNAMEs lead to; its own name without any
    bool authenticated = false;
};
using HostAnswer = std::expected<HostFacts, NoRoute>;
/// Whether a name is a CNAME that DNSSEC vouches for, though its target may be in a zone that is
/// not signed.
enum class Alias : uint8_t { none, authenticated, failed };

/// An answer and how long it holds.
template <class Answer>
struct Held {
    Answer answer;
    seconds ttl;
};

/// A question that is out: whoever asks the same meanwhile waits here for the one answer.
template <class Answer>
struct Flight {
    std::optional<Answer> answer;
    std::vector<std::coroutine_handle<>> waiters;

    auto landing() {
        struct Landing {
            Flight& flight;
            bool await_ready() const noexcept { return flight.answer.has_value(); }
            void await_suspend(std::coroutine_handle<> waiter) const {
                flight.waiters.push_back(waiter);
            }
            void await_resume() const noexcept {}
        };
        return Landing{*this};
    }
};

template <class Answer>
struct Lookups {
    explicit Lookups(size_t entries_max) : cache(entries_max) {}
    TtlCache<Answer> cache;
    std::unordered_map<std::string, std::shared_ptr<Flight<Answer>>> flights;
};

using Why = NoRoute::Why;

std::unexpected<NoRoute> never(Why why, uint16_t code, std::string enhanced, std::string reason) {
    return std::unexpected(NoRoute{why, true, code, std::move(enhanced), std::move(reason)});
}
std::unexpected<NoRoute> not_now(std::string reason) {
    return std::unexpected(NoRoute{Why::failed, false, 451, "4.4.3", std::move(reason)});
}

/// "[192.0.2.1]", "[IPv6:2001:db8::1]" as in addresses, or the address alone as in a configured
/// route.
std::optional<SocketAddress> parse_literal(std::string_view host) {
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
        constexpr std::string_view tag = "ipv6:";
        const auto same = [](char a, char b) {
            return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b;
        };
        if (host.size() > tag.size() && std::ranges::equal(host.substr(0, tag.size()), tag, same)) {
            host.remove_prefix(tag.size());
        }
    }
    return SocketAddress::from_ip(host, 0);
}

}  // namespace

struct Resolver::State {
    Reactor& reactor;
    DnsClient& client;
    ResolverOptions options;
    AddressPolicy policy;
    std::string own_name;  // parsed; empty when there is none
    Lookups<RouteAnswer> route_lookups;
    Lookups<HostAnswer> host_lookups;
    Lookups<HostTlsa> tlsa_lookups;  // by the records' owner
    Lookups<Alias> alias_lookups;
    Lookups<Texts> text_lookups;
    ResolverCounts counts;
    metrics::Counter* cache_hits = nullptr;

    State(Reactor& the_reactor, DnsClient& the_client, ResolverOptions the_options);

    template <class Answer>
    Task<Answer> shared(Lookups<Answer>& lookups, std::string name,
                        Task<Held<Answer>> (State::*ask)(std::string));
    Task<Held<RouteAnswer>> ask_route(std::string domain);
    Task<Held<HostAnswer>> ask_host(std::string host);
    Task<Held<HostTlsa>> ask_tlsa(std::string owner);
    Task<Held<Alias>> ask_alias(std::string host);
    Task<Held<Texts>> ask_texts(std::string name);
    Task<HostTlsa> tlsa(std::string host, uint16_t port);
    void count(DnsClient::Type type, const DnsAnswer& answer);
    Task<> ask_ipv6(std::string host, DnsAnswer& answer);

    Held<RouteAnswer> route_of(const std::string& domain, DnsAnswer answer);
    RouteAnswer route_by_mx(const std::string& domain, DnsAnswer answer);
    RouteAnswer make_route(Route route, seconds ttl) const;

    seconds positive_ttl(const DnsAnswer& answer) const {
        return std::clamp(seconds(answer.ttl_seconds), options.ttl_min, options.ttl_max);
    }
    seconds negative_ttl(const DnsAnswer& answer) const {
        const seconds most = std::max(options.ttl_min, options.negative_ttl_max);
        return std::clamp(seconds(answer.ttl_seconds), options.ttl_min, most);
    }
    seconds ttl_of(const DnsAnswer& answer) const {
        if (answer.status == DnsAnswer::Status::failed) return options.failure_ttl;
        return answer.status == DnsAnswer::Status::ok ? positive_ttl(answer) : negative_ttl(answer);
    }
};

Resolver::State::State(Reactor& the_reactor, DnsClient& the_client, ResolverOptions the_options)
    : reactor(the_reactor),
      client(the_client),
      options(std::move(the_options)),
      own_name(parse_domain(options.own_name).value_or("")),
      route_lookups(options.entries_max),
      host_lookups(options.entries_max),
      tlsa_lookups(options.entries_max),
      alias_lookups(options.entries_max),
      text_lookups(options.entries_max) {
    auto parsed = AddressPolicy::with_exceptions(options.allow_addresses);
    if (!parsed) throw std::invalid_argument("delivery.allow_addresses: " + parsed.error());
    policy = std::move(*parsed);
    if (options.registry) cache_hits = &options.registry->counter(metrics::catalog::dns_cache_hits);
}

void Resolver::State::count(DnsClient::Type type, const DnsAnswer& answer) {
    static constexpr const char* types[] = {"mx", "a", "aaaa", "tlsa", "txt", "cname"};
    static constexpr const char* results[] = {"ok", "no_data", "no_name", "failed"};
    ++counts.questions;
    counts.failures += answer.status == DnsAnswer::Status::failed;
    if (!options.registry) return;
    const auto* const result = results[static_cast<size_t>(answer.status)];
    options.registry
        ->counter(metrics::catalog::dns_lookups, {types[static_cast<size_t>(type)], result})
        .add();
}

Resolver::Resolver(Reactor& reactor, DnsClient& client, ResolverOptions options)
    : state_(std::make_unique<State>(reactor, client, std::move(options))) {}

Resolver::~Resolver() {
    const State& state = *state_;
    CHECK(state.route_lookups.flights.empty() && state.host_lookups.flights.empty() &&
              state.tlsa_lookups.flights.empty() && state.alias_lookups.flights.empty() &&
              state.text_lookups.flights.empty(),
          "a resolver died while somebody waited for its answer");
}

size_t Resolver::cached() const {
    const State& state = *state_;
    return state.route_lookups.cache.size() + state.host_lookups.cache.size() +
           state.tlsa_lookups.cache.size() + state.alias_lookups.cache.size() +
           state.text_lookups.cache.size();
}

ResolverCounts Resolver::counts() const {
    return state_->counts;
}

/// From the cache, from a question that is out already, or by asking.
template <class Answer>
Task<Answer> Resolver::State::shared(Lookups<Answer>& lookups, std::string name,
                                     Task<Held<Answer>> (State::*ask)(std::string)) {
    if (const Answer* cached = lookups.cache.find(name, reactor.now())) {
        ++counts.cache_hits;
        if (cache_hits) cache_hits->add();
        co_return *cached;
    }
    if (const auto out = lookups.flights.find(name); out != lookups.flights.end()) {
        ++counts.shared;
        const std::shared_ptr<Flight<Answer>> flight = out->second;
        co_await flight->landing();
        co_return *flight->answer;
    }
    const auto flight = std::make_shared<Flight<Answer>>();
    lookups.flights.emplace(name, flight);
    Held<Answer> held = co_await (this->*ask)(name);
    lookups.cache.put(name, held.answer, reactor.now() + held.ttl);
    flight->answer = std::move(held.answer);
    for (const std::coroutine_handle<> waiter : flight->waiters) reactor.post(waiter);
    lookups.flights.erase(name);
    co_return *flight->answer;
}

Task<std::expected<std::shared_ptr<const Route>, NoRoute>> Resolver::route(std::string domain) {
    if (domain.starts_with('[')) {
        const auto address = parse_literal(domain);
        if (!address)
            co_return never(Why::bad_name, 550, "5.1.2",
                            fmt::format("{} is not an address literal", domain));
        if (const auto refusal = state_->policy.refusal(*address)) {
            co_return never(Why::address_refused, 550, "5.4.4",
                            fmt::format("no mail goes to {}: {}", domain, *refusal));
        }
        co_return state_->make_route(
            {.hosts = {{0, domain, state_->options.port}}, .implicit = true},
            state_->options.ttl_max);
    }
    auto name = parse_domain(domain);
    if (!name)
        co_return never(Why::bad_name, 550, "5.1.2",
                        fmt::format("{} is not a domain name", domain));
    co_return co_await state_->shared(state_->route_lookups, std::move(*name), &State::ask_route);
}

Task<Held<RouteAnswer>> Resolver::State::ask_route(std::string domain) {
    DnsAnswer answer = co_await client.query(domain, DnsClient::Type::mx);
    count(DnsClient::Type::mx, answer);
    co_return route_of(domain, std::move(answer));
}

Held<RouteAnswer> Resolver::State::route_of(const std::string& domain, DnsAnswer answer) {
    switch (answer.status) {
        case DnsAnswer::Status::failed:
            return {not_now(fmt::format("the MX records of {} could not be looked up: {}", domain,
                                        answer.error)),
                    options.failure_ttl};
        case DnsAnswer::Status::no_name:
            return {never(Why::no_domain, 550, "5.1.2",
                          fmt::format("the domain {} does not exist", domain)),
                    negative_ttl(answer)};
        case DnsAnswer::Status::no_data:
            // Only here, never when there are MX records that lead nowhere (RFC 5321 5.1).
            return {make_route({.hosts = {{0, domain, options.port}},
                                .implicit = true,
                                .authenticated = answer.authenticated},
                               negative_ttl(answer)),
                    negative_ttl(answer)};
        case DnsAnswer::Status::ok:
            break;
    }
    const seconds ttl = positive_ttl(answer);
    return {route_by_mx(domain, std::move(answer)), ttl};
}

RouteAnswer Resolver::State::route_by_mx(const std::string& domain, DnsAnswer answer) {
    std::vector<DnsAnswer::Mx>& records = answer.mx;
    // A null MX counts only when it stands alone (RFC 7505 3); beside others it is a mistake of
    // theirs.
    std::erase_if(records, [](const DnsAnswer::Mx& mx) { return mx.host.empty(); });
    if (records.empty()) {
        return never(Why::null_mx, 556, "5.1.10",
                     fmt::format("{} takes no mail: it has a null MX (RFC 7505)", domain));
    }
    std::ranges::sort(records);
    std::vector<MxHost> hosts;
    for (const DnsAnswer::Mx& mx : records) {
        const auto name =
            parse_domain(mx.host);  // drops addresses, which some put there, and what is no name
        const auto same = [&](const MxHost& host) { return host.name == *name; };
        if (!name || hosts.size() == hosts_max || std::ranges::any_of(hosts, same)) continue;
        // Our own name: we are one of its backups. Going to an equal or worse one would make a
        // loop.
        if (*name == own_name) {
            std::erase_if(hosts,
                          [&](const MxHost& host) { return host.preference == mx.preference; });
            if (hosts.empty()) {
                return never(Why::own_host, 554, "5.4.6",
                             fmt::format("mail for {} loops: its best MX is this host ({})", domain,
                                         own_name));
            }
            break;
        }
        hosts.push_back({mx.preference, *name, options.port});
    }
    if (hosts.empty()) {
        return never(Why::no_address, 550, "5.4.4",
                     fmt::format("no MX record of {} holds a host name", domain));
    }
    std::ranges::shuffle(hosts, reactor.random());
    std::ranges::sort(hosts, {}, &MxHost::preference);
    return make_route({.hosts = std::move(hosts), .authenticated = answer.authenticated},
                      positive_ttl(answer));
}

/// Names the site and sets the end of it.
RouteAnswer Resolver::State::make_route(Route route, seconds ttl) const {
    route.site = site_name(route.hosts, options.port);
    route.expires = reactor.now() + ttl;
    return std::make_shared<const Route>(std::move(route));
}

Task<std::expected<std::vector<Endpoint>, NoRoute>> Resolver::addresses(std::string host,
                                                                        uint16_t port) {
    HostAnswer found;
    if (const auto literal = parse_literal(host)) {
        found->addresses.emplace_back(*literal);
    } else {
        auto name = parse_domain(host);
        if (!name)
            co_return never(Why::bad_name, 550, "5.4.4",
                            fmt::format("{} is not a host name", host));
        found = co_await state_->shared(state_->host_lookups, std::move(*name), &State::ask_host);
    }
    if (!found) co_return std::unexpected(std::move(found).error());

    std::vector<Endpoint> endpoints;
    std::string refusals;
    for (const IpAddress& ip : found->addresses) {
        const SocketAddress address = ip.with_port(port);
        if (const auto refusal = state_->policy.refusal(address)) {
            refusals +=
                fmt::format("{}{}: {}", refusals.empty() ? "" : "; ", address.ip(), *refusal);
        } else if (endpoints.size() < addresses_max) {
            endpoints.push_back({address, host});
        }
    }
    if (endpoints.empty()) {
        co_return never(Why::address_refused, 550, "5.4.4",
                        fmt::format("no mail goes to the addresses of {} ({})", host, refusals));
    }
    std::ranges::shuffle(endpoints, state_->reactor.random());
    std::ranges::partition(endpoints, [&](const Endpoint& endpoint) {
        return (endpoint.address.family() == AF_INET6) == state_->options.ipv6_first;
    });
    co_return endpoints;
}

Task<> Resolver::State::ask_ipv6(std::string host, DnsAnswer& answer) {
    answer = co_await client.query(std::move(host), DnsClient::Type::aaaa);
}

Task<Held<HostAnswer>> Resolver::State::ask_host(std::string host) {
    DnsAnswer v4, v6;
    Scope beside;
    beside.spawn(ask_ipv6(host, v6));
    v4 = co_await client.query(host, DnsClient::Type::a);
    co_await beside.join();

    using Status = DnsAnswer::Status;
    count(DnsClient::Type::a, v4);
    count(DnsClient::Type::aaaa, v6);
    if (!v4.addresses.empty() || !v6.addresses.empty()) {
        // Both are of one name and so of one zone; when only one answer could be had it speaks for
        // both, or making the other fail would be a way around DANE.
        const DnsAnswer& better = v4.addresses.empty() ? v6 : v4;
        HostFacts facts{.addresses = {v4.addresses.begin(), v4.addresses.end()},
                        .canonical = better.canonical.empty() ? host : better.canonical,
                        .authenticated = v4.authenticated || v6.authenticated};
        for (const SocketAddress& address : v6.addresses) facts.addresses.emplace_back(address);
        // Name servers that fail on AAAA are common: they must not stop A (RFC 5321 5.2), nor make
        // it short-lived.
        seconds ttl = v4.status == Status::ok ? positive_ttl(v4) : options.ttl_max;
        if (v6.status == Status::ok) ttl = std::min(ttl, positive_ttl(v6));
        if (v4.status == Status::failed) ttl = std::min(ttl, options.failure_ttl);
        co_return Held<HostAnswer>{std::move(facts), ttl};
    }
    if (v4.status == Status::failed || v6.status == Status::failed) {
        const DnsAnswer& worse = v4.status == Status::failed ? v4 : v6;
        co_return Held<HostAnswer>{
            not_now(fmt::format("the address of {} could not be looked up: {}", host, worse.error)),
            options.failure_ttl};
    }
    const bool exists = v4.status != Status::no_name && v6.status != Status::no_name;
    co_return Held<HostAnswer>{never(Why::no_address, 550, "5.4.4",
                                     fmt::format("the mail host {} {}", host,
                                                 exists ? "has no address" : "does not exist")),
                               std::min(negative_ttl(v4), negative_ttl(v6))};
}

Task<HostTlsa> Resolver::tlsa(std::string host, uint16_t port) {
    auto name = parse_domain(host);
    if (!name) co_return HostTlsa{};  // an address literal
    co_return co_await state_->tlsa(std::move(*name), port);
}

/// RFC 7672 2.2.2 and 2.2.3: first under what the host's CNAMEs lead to, then under its own name;
/// only where DNSSEC vouches for what leads there.
Task<HostTlsa> Resolver::State::tlsa(std::string host, uint16_t port) {
    const HostAnswer found = co_await shared(host_lookups, host, &State::ask_host);
    if (!found) co_return HostTlsa{};  // nobody will connect to it
    const bool aliased = found->canonical != host;
    std::vector<std::string> bases;
    if (found->authenticated) {
        bases = aliased ? std::vector{found->canonical, host} : std::vector{host};
    } else if (aliased) {
        // Who uses a signed name for a host in a zone that is not signed may still sign for it.
        const Alias alias = co_await shared(alias_lookups, host, &State::ask_alias);
        if (alias == Alias::failed) {
            co_return HostTlsa{
                .found = HostTlsa::Found::failed,
                .reason = fmt::format("the CNAME of {} could not be looked up", host)};
        }
        if (alias == Alias::authenticated) bases = {host};
    }
    for (const std::string& base : bases) {
        HostTlsa answer =
            co_await shared(tlsa_lookups, fmt::format("_{}._tcp.{}", port, base), &State::ask_tlsa);
        if (answer.found == HostTlsa::Found::nothing) continue;
        answer.base = base;
        co_return answer;
    }
    co_return HostTlsa{};
}

Task<Held<HostTlsa>> Resolver::State::ask_tlsa(std::string owner) {
    DnsAnswer answer = co_await client.query(owner, DnsClient::Type::tlsa);
    count(DnsClient::Type::tlsa, answer);
    HostTlsa tlsa;
    if (answer.status == DnsAnswer::Status::failed) {
        tlsa.found = HostTlsa::Found::failed;
        tlsa.reason =
            fmt::format("the TLSA records {} could not be looked up: {}", owner, answer.error);
    } else if (answer.status == DnsAnswer::Status::ok && answer.authenticated) {
        tlsa.found = HostTlsa::Found::records;
        tlsa.records = std::move(answer.tlsa);
    }
    co_return Held<HostTlsa>{std::move(tlsa), ttl_of(answer)};
}

Task<Held<Alias>> Resolver::State::ask_alias(std::string host) {
    const DnsAnswer answer = co_await client.query(host, DnsClient::Type::cname);
    count(DnsClient::Type::cname, answer);
    Alias alias = Alias::none;
    if (answer.status == DnsAnswer::Status::failed) {
        alias = Alias::failed;
    } else if (answer.status == DnsAnswer::Status::ok && answer.authenticated) {
        alias = Alias::authenticated;
    }
    co_return Held<Alias>{alias, ttl_of(answer)};
}

Task<Texts> Resolver::texts(std::string name) {
    auto parsed = parse_domain(name);
    if (!parsed) co_return Texts{};
    co_return co_await state_->shared(state_->text_lookups, std::move(*parsed), &State::ask_texts);
}

Task<Held<Texts>> Resolver::State::ask_texts(std::string name) {
    DnsAnswer answer = co_await client.query(name, DnsClient::Type::txt);
    count(DnsClient::Type::txt, answer);
    const seconds ttl = ttl_of(answer);
    Texts texts;
    if (answer.status == DnsAnswer::Status::failed)
        texts = std::unexpected(
            fmt::format("the TXT records of {} could not be looked up: {}", name, answer.error));
    else if (answer.status == DnsAnswer::Status::ok)
        texts = std::move(answer.texts);
    co_return Held<Texts>{std::move(texts), ttl};
}

}  // namespace engine

// sluice send: one mail to one recipient, delivered in this process with the engine's own parts,
// and everything shown.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/delivery/introduction.h"
#include "engine/delivery/site_policy.h"
#include "engine/dns/address_policy.h"
#include "engine/dns/cares_client.h"
#include "engine/dns/resolver.h"
#include "engine/message/content.h"
#include "engine/net/dialer.h"
#include "engine/net/tls_context.h"
#include "engine/policy/host_demand.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/uring_reactor.h"
#include "engine/smtp/session.h"
#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/conversation.h"
#include "ingest/terminal.h"

namespace ingest {

namespace {
using engine::Task;
using engine::Verdict;
constexpr size_t addresses_tried_max = 5;

double milliseconds_of(std::chrono::nanoseconds time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

/// What came of it, for the last line and for --json.
struct Result {
    Verdict verdict;
    std::string mx, ip, tls;
    bool decided = false;  // a receiver judged the mail: no further host is tried
};

class Sender {
  public:
    Sender(engine::Reactor& reactor, engine::DnsClient& dns, const SendOptions& options,
           const Config& config, std::shared_ptr<const engine::TlsContext> tls, engine::Address to,
           engine::Mail mail)
        : reactor_(reactor),
          resolver_(reactor, dns, resolver_options(config)),
          options_(options),
          config_(config),
          tls_(std::move(tls)),
          to_(std::move(to)),
          mail_(std::move(mail)),
          conversation_([this](const SpokenLine& line) { show(line); }) {}

    Task<> run() {
        const auto route = co_await find_route();
        if (!route) co_return;
        policy_ = engine::policy_for(config_.delivery, to_.routing_domain, *route);
        size_t tried = 0;
        for (const engine::MxHost& host : route->hosts) {
            auto demand = co_await engine::demand_for(resolver_, policy_.tls(), route, host);
            if (!demand) {
                note(fmt::format("{}: {}", host.name, demand.error().reason));
                refused(demand.error(), host.name);
                continue;
            }
            const auto endpoints = co_await resolver_.addresses(host.name, host.port);
            if (!endpoints) {
                note(fmt::format("{}: {}", host.name, endpoints.error().reason));
                refused(endpoints.error(), host.name);
                continue;
            }
            for (const engine::Endpoint& endpoint : *endpoints) {
                if (++tried > addresses_tried_max || result_.decided) co_return;
                co_await attempt(endpoint, host, *demand);
                const bool by_tls = !result_.decided && result_.verdict.stage == engine::Stage::tls;
                if (!by_tls || demand->least > engine::TlsLevel::plain || host.tls_first) continue;
                note("nobody demands TLS: once more without it");
                engine::TlsDemand plain = *demand;
                plain.use = engine::TlsDemand::Use::never;
                co_await attempt(endpoint, host, std::move(plain));
            }
        }
    }
    const Result& result() const { return result_; }
    const Conversation& conversation() const { return conversation_; }

  private:
    static engine::ResolverOptions resolver_options(const Config& config) {
        return {.port = config.delivery.port,
                .allow_addresses = config.delivery.allow_addresses,
                .own_name = config.delivery.node_name,
                .ipv6_first = engine::has_global_ipv6()};
    }

    /// The fixed route of the configuration, or what the DNS says; null when the result says why
    /// not.
    Task<std::shared_ptr<const engine::Route>> find_route() {
        const auto* settings = engine::settings_for(config_.delivery, to_.routing_domain);
        if (settings && !settings->route.empty()) {
            auto route = engine::fixed_route(*settings, config_.delivery.port);
            note(fmt::format("route {}: fixed, {} hosts", to_.routing_domain, route->hosts.size()));
            co_return route;
        }
        const auto route = co_await resolver_.route(to_.routing_domain);
        if (!route) {
            note(fmt::format("route {}: {}", to_.routing_domain, route.error().reason));
            refused(route.error(), "");
            co_return nullptr;
        }
        for (const engine::MxHost& host : (*route)->hosts) {
            note(fmt::format("route {}: {} {} port {}", to_.routing_domain, host.preference,
                             host.name, host.port));
        }
        co_return *route;
    }

    Task<> attempt(engine::Endpoint endpoint, engine::MxHost host, engine::TlsDemand demand) {
        const auto began = reactor_.now();
        auto stream = co_await engine::dial(reactor_, endpoint.address, nullptr,
                                            began + config_.delivery.timeouts.connect);
        const double took = milliseconds_of(reactor_.now() - began);
        result_.mx = endpoint.host;
        result_.ip = endpoint.address.ip();
        result_.tls.clear();
        if (!stream) {
            note(fmt::format("connect {} ({}): {}", endpoint.address.to_string(), endpoint.host,
                             stream.error().what));
            result_.verdict = {.stage = engine::Stage::connect,
                               .reply = {.text = stream.error().what}};
            co_return;
        }
        note(fmt::format("connect {} ({}): {:.1f} ms", endpoint.address.to_string(), endpoint.host,
                         took));
        TapStream tap(**stream, reactor_, conversation_, reactor_.now());
        if (host.tls_first) tap.stop_listening();
        const auto timeouts =
            std::make_shared<const engine::SmtpTimeouts>(config_.delivery.timeouts);
        engine::Session session(tap, reactor_, timeouts);
        engine::TlsStart tls{.context = tls_,
                             .host = host.name,
                             .demand = std::move(demand),
                             .listen = [this, &tap](engine::Stream& within) {
                                 return std::make_unique<TapStream>(within, reactor_, conversation_,
                                                                    tap.began());
                             }};
        using Line = engine::Introduction::Line;
        const bool unheard =
            endpoint.address.is_loopback() || policy_.limits.tls == engine::TlsPolicy::none;
        auto introduced = co_await engine::introduce({.session = &session,
                                                      .ehlo_name = config_.delivery.node_name,
                                                      .tls_first = host.tls_first,
                                                      .tls = std::move(tls),
                                                      .credentials = policy_.credentials,
                                                      .line = unheard ? Line::closed : Line::open});
        note_tls(session.tls());
        if (introduced)
            co_await converse(session);
        else
            result_.verdict = std::move(introduced.error());
        tap.close();
    }

    void note_tls(const engine::TlsResult& tls) {
        result_.tls = to_string(tls);
        if (result_.tls.empty()) return;
        note(fmt::format("TLS {}{}{}", result_.tls, tls.why.empty() ? "" : ": ", tls.why));
    }

    Task<> converse(engine::Session& session) {
        engine::Mail mail = mail_;
        const engine::Outcome outcome = co_await session.transact(std::move(mail));
        result_.verdict = outcome.verdicts.front();
        result_.decided = result_.verdict.kind == Verdict::Kind::delivered ||
                          result_.verdict.kind == Verdict::Kind::bounced ||
                          result_.verdict.in_doubt;
        if (outcome.connection_usable) co_await session.quit();
    }

    void refused(const engine::NoRoute& why, const std::string& host) {
        result_.mx = host;
        result_.verdict = {
            .kind = why.permanent ? Verdict::Kind::bounced : Verdict::Kind::deferred,
            .stage = engine::Stage::dns,
            .reply = {.code = why.code, .enhanced = why.enhanced, .text = why.reason}};
    }

    void note(const std::string& text) const {
        if (options_.output == Output::text)
            fmt::print("{}\n", coloured("-- " + printable(text), Colour::faint));
    }
    void show(const SpokenLine& line) const {
        if (options_.output == Output::json) return;
        const bool ours = line.side == SpokenLine::Side::client;
        fmt::print(
            "{:>10} {} {}\n", fmt::format("{:.1f} ms", milliseconds_of(line.at)),
            ours ? "C:" : "S:", coloured(line.text, ours ? Colour::plain : colour_of(line.text)));
        std::fflush(stdout);
    }
    static Colour colour_of(std::string_view reply) {
        if (reply.starts_with('4')) return Colour::warning;
        return reply.starts_with('5') ? Colour::bad : Colour::good;
    }

    engine::Reactor& reactor_;
    engine::Resolver resolver_;
    const SendOptions& options_;
    const Config& config_;
    std::shared_ptr<const engine::TlsContext> tls_;
    engine::SitePolicy policy_;
    engine::Address to_;
    engine::Mail mail_;
    Conversation conversation_;
    Result result_;
};

std::expected<engine::Mail, std::string> compose(const SendOptions& options, const Config& config,
                                                 const engine::Address& from,
                                                 const engine::Address& to, storage::WallTime now) {
    engine::MailParts parts{.from = options.from,
                            .subject = options.subject,
                            .to = options.to,
                            .text = options.text,
                            .html = options.html};
    // The time stands in for a job's number: it makes the Message-ID unique.
    const auto id = static_cast<storage::JobId>(now.time_since_epoch().count());
    auto content = engine::Content::assemble(parts, {config.delivery.node_name, id, now});
    if (!content) {
        std::string text;
        for (const auto& p : content.error())
            text +=
                fmt::format("{}{}: {}; {}", text.empty() ? "" : "\n", p.field, p.message, p.hint);
        return std::unexpected(text);
    }
    auto bytes = std::make_shared<const std::string>(content->render({{id, 0}, options.to, {}}));
    const bool eight_bit =
        std::ranges::any_of(*bytes, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
    return engine::Mail{.sender = options.from,
                        .recipients = {{.address = options.to}},
                        .content = std::move(bytes),
                        .eight_bit = eight_bit,
                        .utf8_addresses = from.utf8 || to.utf8};
}

Task<> run_all(Sender* sender, engine::CaresClient* dns) {
    co_await sender->run();
    co_await dns->stop();
}

int print_json(const Sender& sender) {
    const Result& result = sender.result();
    const Verdict& verdict = result.verdict;
    nlohmann::ordered_json out{{"outcome", engine::to_string(verdict.kind)},
                               {"stage", engine::to_string(verdict.stage)},
                               {"code", verdict.reply.code},
                               {"enhanced", verdict.reply.enhanced},
                               {"reply", verdict.reply.text},
                               {"mx", result.mx},
                               {"ip", result.ip},
                               {"tls", result.tls}};
    auto& lines = out["conversation"] = nlohmann::ordered_json::array();
    for (const SpokenLine& line : sender.conversation().lines()) {
        lines.push_back({{"ms", milliseconds_of(line.at)},
                         {"side", line.side == SpokenLine::Side::client ? "client" : "server"},
                         {"line", line.text}});
    }
    // Replies may hold any octets.
    fmt::print("{}\n", out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return verdict.kind == Verdict::Kind::delivered ? 0 : 1;
}

int print_outcome(const Sender& sender) {
    const Verdict& verdict = sender.result().verdict;
    const bool delivered = verdict.kind == Verdict::Kind::delivered;
    std::string text(engine::to_string(verdict.kind));
    if (!delivered && verdict.stage != engine::Stage::none)
        text += fmt::format(" at {}", engine::to_string(verdict.stage));
    if (verdict.reply.code != 0) text += fmt::format(": {}", verdict.reply.code);
    if (!verdict.reply.enhanced.empty()) text += " " + verdict.reply.enhanced;
    if (!verdict.reply.text.empty())
        text += (verdict.reply.code ? " " : ": ") + printable(verdict.reply.text);
    if (verdict.in_doubt) text += "; the receiver may have taken it";
    fmt::print("{}\n", coloured(text, delivered ? Colour::good : Colour::bad));
    return delivered ? 0 : 1;
}
}  // namespace

int send(const SendOptions& options, const Config& config) {
    const auto from = engine::parse_address(options.from);
    if (!from) return failed("send", fmt::format("--from: {}", from.error()));
    auto to = engine::parse_address(options.to);
    if (!to) return failed("send", fmt::format("--to: {}", to.error()));

    auto reactor =
        engine::UringReactor::create({.entries = 64, .buffer_count = 16, .buffer_count_max = 64});
    if (!reactor) return failed("send", reactor.error().what);
    auto dns = engine::CaresClient::create(**reactor, {.servers = config.dns_servers});
    if (!dns) return failed("send", dns.error().what);
    auto mail = compose(options, config, *from, *to, (*reactor)->wall());
    if (!mail) return failed("send", mail.error());

    auto tls = engine::TlsContext::client(
        {.ca_file = config.delivery.tls_ca_file, .least = config.delivery.tls_least});
    if (!tls) return failed("send", tls.error().what);

    Sender sender(**reactor, **dns, options, config, std::move(*tls), std::move(*to),
                  std::move(*mail));
    engine::Scope scope;
    scope.spawn(run_all(&sender, dns->get()));
    while (scope.running() > 0) (*reactor)->turn(engine::Instant::max());
    return options.output == Output::json ? print_json(sender) : print_outcome(sender);
}

}  // namespace ingest

#include "engine/delivery/introduction.h"

#include <utility>

namespace engine {

namespace {

using Done = std::expected<void, Verdict>;

Verdict not_protected(Failure failure, Reply reply) {
    return {.kind = Verdict::Kind::deferred,
            .stage = Stage::tls,
            .reply = std::move(reply),
            .failure = failure};
}

/// ", and MTA-STS demands TLS"
std::string demanded_by(const TlsDemand& demand, std::string_view what) {
    return std::string(", and ").append(demand.policy).append(" demands ").append(what);
}

Done is_enough(const Session& session, const TlsDemand& demand) {
    const TlsResult& has = session.tls();
    if (has.level == TlsLevel::plain && demand.least > TlsLevel::plain) {
        return std::unexpected(not_protected(
            Failure::no_tls,
            {.text = "the host does not offer STARTTLS" + demanded_by(demand, "TLS")}));
    }
    if (has.level < demand.least) {
        return std::unexpected(not_protected(
            Failure::tls_untrusted, {.text = has.why + demanded_by(demand, "one that does")}));
    }
    if (demand.require_tls && !session.capabilities().require_tls) {
        Verdict refused = not_protected(
            Failure::cannot_carry,
            {550, "5.7.30", "the host does not offer REQUIRETLS, which this mail demands"});
        refused.stage = Stage::mail;  // whose parameter it would be
        return std::unexpected(std::move(refused));
    }
    return {};
}

/// STARTTLS where it is wanted and offered. A host that refuses it in order is spoken to as it is
/// where nobody demands more.
Task<Done> upgrade(Session* session, TlsStart tls) {
    const TlsDemand demand = tls.demand;
    const bool wanted = demand.use == TlsDemand::Use::when_offered;
    if (!wanted || !session->capabilities().starttls) co_return Done();
    Done started = co_await session->start_tls(std::move(tls));
    if (started) co_return started;
    const bool refused = started.error().failure == Failure::no_tls;
    if (refused && demand.least == TlsLevel::plain) co_return Done();
    if (!demand.policy.empty()) started.error().reply.text += demanded_by(demand, "TLS");
    co_return started;
}

/// Nobody on the way may read a password.
Task<Done> log_in(Session* session, std::shared_ptr<const Credentials> credentials,
                  Introduction::Line line) {
    if (session->tls().level == TlsLevel::plain && line == Introduction::Line::open) {
        Verdict refused = not_protected(
            Failure::no_credentials,
            {.text = "the host offers no TLS, and a password is not sent in plaintext; tls = "
                     "\"none\" would allow it"});
        co_return std::unexpected(std::move(refused));
    }
    co_return co_await session->log_in(std::move(credentials));
}

}  // namespace

Task<Done> introduce(Introduction how) {
    Session& session = *how.session;
    const TlsDemand demand = how.tls.demand;
    if (how.tls_first) {
        Done begun = co_await session.begin_with_tls(std::exchange(how.tls, {}));
        if (!begun) co_return begun;
    }
    Done done = co_await session.greet(std::move(how.ehlo_name));
    if (!done) co_return done;
    if (!how.tls_first) done = co_await upgrade(&session, std::move(how.tls));
    if (done) done = is_enough(session, demand);
    if (done && how.credentials) {
        done = co_await log_in(&session, std::move(how.credentials), how.line);
    }
    if (!done) co_await session.quit();
    co_return done;
}

}  // namespace engine

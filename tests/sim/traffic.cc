#include "tests/sim/traffic.h"

#include <algorithm>

namespace sim {

void Traffic::connected(const std::string& group, const std::string& source, size_t open) {
    const uint32_t most = limits_[group].connections;
    if (most > 0 && open > most)
        world_.fail("a limit of connections",
                    fmt::format("{} from '{}' has {} of {}", group, source, open, most));
}

void Traffic::mail(const Mail& mail) {
    Pace& pace = paces_[{mail.group, mail.source, mail.boot}];
    pace.mails.push_back(mail.sent);
    if (mail.of_connection == 1) pace.connections.push_back(mail.sent);
    const uint32_t most = limits_[mail.group].messages_per_connection;
    if (most > 0 && mail.of_connection > most)
        world_.fail("a limit of mails on a connection",
                    fmt::format("{} got {} of {}", mail.group, mail.of_connection, most));
}

void Traffic::recipient(const std::string& group, size_t of_transaction) {
    const uint32_t most = limits_[group].recipients_per_transaction;
    if (most > 0 && of_transaction > most)
        world_.fail("a limit of recipients of a mail",
                    fmt::format("{} got {} of {}", group, of_transaction, most));
}

void Traffic::check_rates() {
    for (const auto& [way, pace] : paces_) {
        const std::string& group = std::get<0>(way);
        const engine::Limits& limits = limits_[group];
        // What a connection may begin now it may write a little later: so each adds one to those
        // that come at once.
        const size_t at_once = limits.connections + 1;
        check(pace.mails, limits.rate_per_second, at_once, "a limit of mails a second", group);
        check(pace.connections, limits.connection_rate_per_second, at_once,
              "a limit of connections a second", group);
    }
}

/// A bucket that leaks at the rate and never holds more than may come at once.
void Traffic::check(std::vector<Instant> times, double rate, size_t at_once, const char* invariant,
                    const std::string& group) {
    if (rate <= 0) return;
    std::ranges::sort(times);
    double held = 0;
    Instant last{};
    for (const Instant time : times) {
        const double passed = std::chrono::duration<double>(time - last).count();
        held = std::max(0.0, held - passed * rate) + 1;
        last = time;
        if (held <= static_cast<double>(at_once) + 0.01) continue;
        return world_.fail(invariant,
                           fmt::format("{} got {:.0f} at once, at {}/s", group, held, rate));
    }
}

}  // namespace sim

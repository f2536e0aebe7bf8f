// Automation: what an operator would do by hand when a receiver says something too often. A rule
// names replies, how many within which time, and what follows at the path that heard them.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/bounce/bounce_class.h"
#include "engine/reactor/reactor.h"

namespace re2 {
class RE2;
}

namespace engine {

/// [[automation]]
struct AutomationRule {
    enum class Action : uint8_t {
        rest_source,  // this source leaves the site alone; others of its pools go on
        suspend,      // all sources do
        slow          // the source sends at half the rate that it has sent at
    };
    std::string name;
    std::string provider;                   // empty: all
    std::optional<BounceClass> klass;       // of the reply; this or `match`, or both
    std::shared_ptr<const re2::RE2> match;  // found in "550 5.7.1 text", by any case
    uint32_t count = 1;
    std::chrono::milliseconds within = std::chrono::minutes(10);
    Action action = Action::rest_source;
    std::chrono::milliseconds duration = std::chrono::hours(1);
    std::string origin;  // "sluice.toml:12"
};
std::string_view to_string(AutomationRule::Action action);
std::optional<AutomationRule::Action> parse_automation_action(std::string_view name);
/// Null and why: the expression is refused.
std::shared_ptr<const re2::RE2> make_match(const std::string& expression, std::string* why);

/// What one path has heard of the rules. Bounded by the rules' counts.
class Automation {
  public:
    /// A reply that took no mail. The rule whose threshold it reaches, which then begins anew;
    /// null: none does.
    const AutomationRule* heard(const std::vector<AutomationRule>& rules,
                                const std::string& provider, BounceClass klass,
                                const std::string& reply, Instant now);

    /// Whether something is counted that would be lost with it.
    bool remembers(Instant now) const { return now < remembers_until_; }

  private:
    Instant remembers_until_{};
    std::unordered_map<std::string, std::deque<Instant>> heard_;  // by the name of the rule
};

}  // namespace engine

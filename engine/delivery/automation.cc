#include "engine/delivery/automation.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>

namespace engine {

namespace {
constexpr std::array<std::string_view, 3> actions{"rest_source", "suspend", "slow"};
}

std::string_view to_string(AutomationRule::Action action) {
    return actions[static_cast<size_t>(action)];
}

std::optional<AutomationRule::Action> parse_automation_action(std::string_view name) {
    const auto found = std::ranges::find(actions, name);
    if (found == actions.end()) return std::nullopt;
    return static_cast<AutomationRule::Action>(found - actions.begin());
}

std::shared_ptr<const re2::RE2> make_match(const std::string& expression, std::string* why) {
    re2::RE2::Options options;
    options.set_case_sensitive(false);
    options.set_log_errors(false);
    auto match = std::make_shared<const re2::RE2>(expression, options);
    if (match->ok()) return match;
    if (why) *why = match->error();
    return nullptr;
}

const AutomationRule* Automation::heard(const std::vector<AutomationRule>& rules,
                                        const std::string& provider, BounceClass klass,
                                        const std::string& reply, Instant now) {
    const AutomationRule* fired = nullptr;
    for (const AutomationRule& rule : rules) {
        if (!rule.provider.empty() && rule.provider != provider) continue;
        if (rule.klass && *rule.klass != klass) continue;
        if (rule.match && !re2::RE2::PartialMatch(reply, *rule.match)) continue;
        std::deque<Instant>& times = heard_[rule.name];
        times.push_back(now);
        remembers_until_ = std::max(remembers_until_, now + rule.within);
        while (times.front() + rule.within < now) times.pop_front();
        if (times.size() < rule.count) continue;
        times.clear();
        if (!fired) fired = &rule;
    }
    return fired;
}

}  // namespace engine

#include "engine/bounce/bounce_rules.h"

#include <fmt/format.h>
#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>

#include "engine/bounce/bounce_codes.h"
#include "engine/bounce/built_in.h"
#include "metrics/check.h"

namespace engine {

namespace {

// Of the automaton that all patterns share. Built lazily from what really comes in; when it is
// full RE2 begins it anew.
constexpr int64_t automaton_bytes_max = int64_t{32} << 20;

RE2::Options options() {
    RE2::Options made;
    made.set_case_sensitive(false);
    made.set_encoding(RE2::Options::EncodingLatin1);  // replies may hold any octets
    made.set_log_errors(false);
    made.set_max_mem(automaton_bytes_max);
    return made;
}

std::string_view without_dot(std::string_view name) {
    if (name.ends_with('.')) name.remove_suffix(1);
    return name;
}

bool applies_to(const BouncePattern& pattern, std::string_view mx) {
    if (pattern.mx.empty()) return true;
    return std::ranges::any_of(pattern.mx, [host = without_dot(mx)](std::string_view suffix) {
        return host.ends_with(suffix) || (suffix.starts_with('.') && host == suffix.substr(1));
    });
}

/// As the patterns see it: "550 5.1.1 text", in one line.
std::string line_of(const Reply& reply) {
    std::string line;
    if (reply.code != 0) line = std::to_string(reply.code) + ' ';
    if (!reply.enhanced.empty()) line.append(reply.enhanced).push_back(' ');
    line.append(reply.text, 0, BounceRules::reply_octets_max);
    std::ranges::replace_if(line, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    return line;
}

/// Before any mail was named a policy can only be about us.
BounceClass at_the_door(BounceClass klass, Stage stage) {
    const bool door = stage == Stage::banner || stage == Stage::ehlo;
    return door && klass == BounceClass::policy_related ? BounceClass::spam_block : klass;
}

}  // namespace

struct BounceRules::State {
    std::vector<BouncePattern> patterns;  // those for a provider first
    RE2::Set set{options(), RE2::UNANCHORED};
};

BounceRules::BounceRules(std::unique_ptr<const State> state) : state_(std::move(state)) {}
BounceRules::~BounceRules() = default;

size_t BounceRules::size() const {
    return state_->patterns.size();
}

std::expected<std::shared_ptr<const BounceRules>, std::vector<std::string>> BounceRules::with(
    std::vector<BouncePattern> own) {
    auto ours = read_bounce_patterns(built_in_bounce_rules, "bounce_rules.toml (built in)");
    CHECK(ours.has_value(), "the built-in bounce rules do not parse");
    std::ranges::move(*ours, std::back_inserter(own));
    auto state = std::make_unique<State>();
    for (const bool for_all : {false, true})
        for (const BouncePattern& pattern : own)
            if (pattern.mx.empty() == for_all) state->patterns.push_back(pattern);
    std::vector<std::string> problems;
    if (state->patterns.size() > patterns_max)
        problems.push_back(fmt::format("there are {} bounce patterns and at most {} are taken",
                                       state->patterns.size(), patterns_max));
    for (const BouncePattern& pattern : state->patterns) {
        std::string error;
        if (state->set.Add(pattern.expression, &error) < 0)
            problems.push_back(fmt::format("{}: '{}' is not an expression that RE2 takes: {}",
                                           pattern.place, pattern.expression, error));
    }
    if (problems.empty() && !state->set.Compile())
        problems.emplace_back("the bounce patterns are too large together; give fewer of them");
    if (!problems.empty()) return std::unexpected(std::move(problems));
    return std::shared_ptr<const BounceRules>(new BounceRules(std::move(state)));
}

const std::shared_ptr<const BounceRules>& BounceRules::built_in() {
    static const auto rules = [] {
        auto made = with({});
        CHECK(made.has_value(), "the built-in bounce rules do not compile");
        return *made;
    }();
    return rules;
}

BounceRules::Finding BounceRules::find(const Verdict& verdict, std::string_view mx) const {
    // Our own words are not matched: they might quote what the host has said of something else.
    const bool ours = verdict.stage == Stage::dns || verdict.failure == Failure::cannot_carry ||
                      verdict.failure == Failure::content_lost;
    if (verdict.reply.code != 0 && !ours) {
        std::vector<int> hits;
        if (state_->set.Match(line_of(verdict.reply), &hits)) {
            std::ranges::sort(hits);
            for (const int hit : hits) {
                const BouncePattern& pattern = state_->patterns[static_cast<size_t>(hit)];
                if (applies_to(pattern, mx)) return {pattern.klass, &pattern, "rule"};
            }
        }
        if (const auto klass = class_of_enhanced(verdict.reply.enhanced))
            return {at_the_door(*klass, verdict.stage), nullptr, "enhanced code"};
    }
    if (const auto klass = class_of_failure(verdict.failure)) return {*klass, nullptr, "failure"};
    if (const auto klass = class_of_enhanced(verdict.reply.enhanced))
        return {*klass, nullptr, "enhanced code"};
    return {class_of_code(verdict.reply.code, verdict.stage), nullptr, "code"};
}

}  // namespace engine

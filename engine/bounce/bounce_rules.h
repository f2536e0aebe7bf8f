// BounceRules: which class a reply belongs to. In this order: rules for the host's provider, rules
// for everybody, the enhanced code (RFC 3463), what went wrong, the code and the stage. Immutable,
// shared by all shards.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/bounce/bounce_class.h"
#include "engine/smtp/outcome.h"

namespace engine {

/// One pattern of a rule file.
struct BouncePattern {
    std::string expression;  // RE2, case does not count; found anywhere in "550 5.1.1 text"
    BounceClass klass = BounceClass::other;
    std::vector<std::string> mx;  // ".google.com": only for hosts so named; empty: for all
    std::string place;            // "file:line"
};

/// Reads `[[rule]]` entries with `class`, `match` and optionally `mx`. Errors: all of them, each
/// with file, line and how to mend it.
using BouncePatterns = std::expected<std::vector<BouncePattern>, std::vector<std::string>>;
BouncePatterns read_bounce_patterns(std::string_view toml, std::string_view file);

class BounceRules {
  public:
    static constexpr size_t patterns_max = 5000;
    static constexpr size_t reply_octets_max = 1024;  // looked at; the rest says nothing new

    /// Those of deploy/bounce_rules.toml as it was when this program was built.
    static const std::shared_ptr<const BounceRules>& built_in();
    /// `own` go before the built-in ones. Errors: expressions that RE2 refuses.
    static std::expected<std::shared_ptr<const BounceRules>, std::vector<std::string>> with(
        std::vector<BouncePattern> own);
    ~BounceRules();

    /// `why` says what decided: a rule's place and expression, or the code. Valid as long as the
    /// rules.
    struct Finding {
        BounceClass klass = BounceClass::other;
        const BouncePattern* rule = nullptr;  // null: no pattern matched
        std::string_view by;                  // then: "enhanced code", "failure", "code"
    };
    /// Of a verdict that is no delivery; `mx`: the host that gave it, or empty.
    Finding find(const Verdict& verdict, std::string_view mx) const;
    BounceClass classify(const Verdict& verdict, std::string_view mx) const {
        return find(verdict, mx).klass;
    }
    size_t size() const;

  private:
    struct State;
    explicit BounceRules(std::unique_ptr<const State> state);
    std::unique_ptr<const State> state_;
};

}  // namespace engine

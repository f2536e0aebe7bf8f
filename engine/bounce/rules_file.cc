// Rule files: TOML with places for every complaint.
#include <fmt/format.h>
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "engine/bounce/bounce_rules.h"

namespace engine {

namespace {

class RuleReader {
  public:
    explicit RuleReader(std::string_view file) : file_(file) {}

    BouncePatterns read(std::string_view text) {
        const toml::parse_result document = toml::parse(text);
        if (document)
            read(document.table());
        else
            problem(document.error().source(), document.error().description());
        if (!problems_.empty()) return std::unexpected(std::move(problems_));
        return std::move(patterns_);
    }

  private:
    std::string place(const toml::source_region& at) const {
        return fmt::format("{}:{}", file_, at.begin.line);
    }
    void problem(const toml::source_region& at, std::string_view what) {
        problems_.push_back(fmt::format("{}: {}", place(at), what));
    }

    void read(const toml::table& document) {
        for (const auto& [key, node] : document) {
            const toml::array* rules = node.as_array();
            if (key.str() != "rule" || !rules || !rules->is_homogeneous(toml::node_type::table)) {
                problem(key.source(), fmt::format("'{}' is not known here; the file holds [[rule]] "
                                                  "entries and nothing else",
                                                  key.str()));
                continue;
            }
            for (const toml::node& rule : *rules) read_rule(*rule.as_table());
        }
    }

    void read_rule(const toml::table& rule) {
        std::optional<BounceClass> klass;
        std::vector<std::string> mx;
        for (const auto& [key, node] : rule) {
            if (key.str() == "class") {
                klass = parse_bounce_class(node.value<std::string>().value_or(""));
                if (!klass) problem(node.source(), "'class' must be one of " + all_classes());
            } else if (key.str() == "mx") {
                mx = strings(node, "mx", "host name endings such as [\".example.com\"]");
            } else if (key.str() != "match") {
                problem(key.source(),
                        fmt::format("'{}' is not known; a rule has 'class', 'match' and 'mx'",
                                    key.str()));
            }
        }
        const toml::node* match = rule.get("match");
        if (!rule.contains("class")) problem(rule.source(), "the rule has no 'class'");
        if (!match) return problem(rule.source(), "the rule has no 'match'");
        strings(*match, "match", "expressions such as ['no such user']");
        if (!klass || !match->as_array()) return;
        for (const toml::node& one : *match->as_array()) {
            if (const auto text = one.value<std::string>(); text && !text->empty())
                patterns_.push_back({*text, *klass, mx, place(one.source())});
        }
    }

    std::vector<std::string> strings(const toml::node& node, std::string_view name,
                                     std::string_view example) {
        std::vector<std::string> found;
        const toml::array* list = node.as_array();
        bool good = list && !list->empty();
        for (const toml::node& one : list ? *list : toml::array{}) {
            const auto text = one.value_exact<std::string>();
            good &= text && !text->empty();
            if (text) found.push_back(*text);
        }
        if (!good) problem(node.source(), fmt::format("'{}' must be a list of {}", name, example));
        return found;
    }

    static std::string all_classes() {
        std::string all;
        for (size_t i = 0; i < bounce_class_count; ++i)
            all.append(i > 0 ? ", " : "").append(to_string(static_cast<BounceClass>(i)));
        return all;
    }

    std::string file_;
    std::vector<BouncePattern> patterns_;
    std::vector<std::string> problems_;
};

}  // namespace

BouncePatterns read_bounce_patterns(std::string_view toml, std::string_view file) {
    return RuleReader(file).read(toml);
}

}  // namespace engine

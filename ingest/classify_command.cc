// sluice classify: which class a reply belongs to, and why.
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "engine/bounce/bounce_rules.h"
#include "engine/delivery/outcome_table.h"
#include "ingest/commands.h"

namespace ingest {

namespace {

using engine::Stage;

Stage stage_named(std::string_view name) {
    constexpr std::array stages{Stage::banner, Stage::ehlo, Stage::mail,
                                Stage::rcpt,   Stage::data, Stage::body};
    for (const Stage stage : stages)
        if (to_string(stage) == name) return stage;
    return Stage::none;
}

bool is_code(std::string_view word) {
    return word.size() == 3 && word[0] >= '2' && word[0] <= '5' &&
           word.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_enhanced(std::string_view word, char digit) {
    return word.size() >= 5 && word[0] == digit && word[1] == '.' &&
           word.find_first_not_of("0123456789.") == std::string_view::npos;
}

/// "550 5.1.1 text" or "550-5.1.1 text"; nullopt: it begins with no code.
std::optional<engine::Reply> reply_of(std::string_view text) {
    if (!is_code(text.substr(0, 3))) return std::nullopt;
    engine::Reply reply{.code = static_cast<uint16_t>(std::stoi(std::string(text.substr(0, 3))))};
    text.remove_prefix(std::min<size_t>(text.size(), 4));
    const size_t blank = std::min(text.find(' '), text.size());
    if (is_enhanced(text.substr(0, blank), static_cast<char>('0' + reply.code / 100))) {
        reply.enhanced = text.substr(0, blank);
        text.remove_prefix(std::min(text.size(), blank + 1));
    }
    reply.text = text;
    return reply;
}

}  // namespace

int classify(const ClassifyOptions& options, const Config& config) {
    auto reply = reply_of(options.reply);
    if (!reply) {
        fmt::print(
            stderr,
            "classify: \"{}\" is no reply of a mail host; give its code as well, as in \"550 "
            "5.1.1 no such user\"\n",
            options.reply);
        return 1;
    }
    using Kind = engine::Verdict::Kind;
    engine::Verdict verdict{.kind = reply->code < 300   ? Kind::delivered
                                    : reply->code < 500 ? Kind::deferred
                                                        : Kind::bounced,
                            .stage = stage_named(options.stage),
                            .reply = std::move(*reply)};
    const auto found = config.delivery.bounce_rules->find(verdict, options.mx);
    const engine::OutcomeRow& row = engine::outcome_row(verdict);
    if (options.output == Output::json) {
        nlohmann::ordered_json json{{"bounce_class", to_string(found.klass)},
                                    {"bounce_kind", to_string(kind_of(found.klass))},
                                    {"by", found.by}};
        if (found.rule) {
            json["rule"] = found.rule->expression;
            json["place"] = found.rule->place;
        }
        json["outcome"] = row.name;
        json["follows"] = to_string(row.course);
        json["slows_site"] = slows_site(verdict, found.klass);
        fmt::print("{}\n", json.dump());
        return 0;
    }
    fmt::print("class     {} ({})\n", to_string(found.klass), to_string(kind_of(found.klass)));
    if (found.rule)
        fmt::print("rule      {} at {}\n", found.rule->expression, found.rule->place);
    else
        fmt::print("by        its {}\n", found.by);
    fmt::print("outcome   {}: {}{}\n", row.name, to_string(row.course),
               slows_site(verdict, found.klass) ? "; the site is slowed down" : "");
    return 0;
}

}  // namespace ingest

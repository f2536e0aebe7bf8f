#include "ingest/shaping_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "engine/delivery/automation.h"
#include "ingest/setting_check.h"
#include "ingest/shaping_values.h"
#include "ingest/units.h"

namespace ingest {

namespace {

using std::chrono::milliseconds;

std::string toml_text(std::string_view text) {
    std::ostringstream out;
    const toml::value<std::string> value{std::string(text)};
    constexpr auto flags =
        toml::toml_formatter::default_flags & ~toml::format_flags::allow_literal_strings;
    out << toml::toml_formatter(value, flags);
    return std::move(out).str();
}

std::string shown(const toml::node& node) {
    std::ostringstream out;
    out << toml::toml_formatter(node);
    std::string text = std::move(out).str();
    std::ranges::replace(text, '\n', ' ');
    constexpr size_t shown_max = 120;
    return text.size() > shown_max ? text.substr(0, shown_max) + "..." : text;
}

std::string text_of(const toml::node& node) {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    return {};
}

/// A name as [[provider]] has them, with room for a number behind it.
std::string label_of(std::string_view name) {
    constexpr size_t name_max = 36;
    std::string label;
    for (const char c : name.substr(0, name_max)) {
        const auto octet = static_cast<unsigned char>(c);
        const bool fine = std::isalnum(octet) || c == '.' || c == '-' || c == '_';
        label += fine ? static_cast<char>(std::tolower(octet)) : '-';
    }
    return label == "other" ? "other-provider" : label;
}

constexpr std::string_view is_timeout =
    "[timeouts] in sluice.toml is the same for all hosts; the defaults are those of RFC 5321";

/// Why a key is not taken over; what is not here is unknown to us.
constexpr auto left_out = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"connect_timeout", is_timeout},
    {"banner_timeout", is_timeout},
    {"ehlo_timeout", is_timeout},
    {"starttls_timeout", is_timeout},
    {"tls_handshake_timeout", is_timeout},
    {"mail_from_timeout", is_timeout},
    {"rcpt_to_timeout", is_timeout},
    {"rset_timeout", is_timeout},
    {"data_timeout", is_timeout},
    {"data_dot_timeout", is_timeout},
    {"enable_dane", "[delivery] dane is on, for all hosts, where the resolver is on this host"},
    {"enable_mta_sts", "[delivery] mta_sts is on, for all domains"},
    {"enable_pipelining",
     "depth = \"lock_step\" is what turns it off; else hosts show what they take"},
    {"consecutive_connection_failures_before_delay",
     "a host that cannot be reached is held from the first failure on, for 1 s, doubling to 60 s"},
    {"max_ready", "queues are bounded by [queue] memory"},
    {"ehlo_domain", "it belongs to the [[source]]"},
    {"smtp_port", "a [[domain]] route names hosts with their ports"},
    {"smtp_auth_plain_username", "set auth_user of the [[domain]]"},
    {"smtp_auth_plain_password", "set auth_password_file of the [[domain]]"},
    {"suspended", "`sluice pause` holds mail back"},
    {"replace_base", "files do not lie on each other here but by name, key by key"},
});

class Importer {
  public:
    explicit Importer(std::string_view file) : file_(file) {}

    std::expected<ShapingImport, ConfigProblem> run(const toml::table& document) {
        if (const auto wrong = misshapen(document)) return std::unexpected(*wrong);
        out_.toml = fmt::format(
            "# Made of {} by `sluice import kumo-shaping`. Name this file in [delivery] "
            "provider_files.\n",
            file_);
        for (auto&& [key, node] : document)
            if (key.str() == "default") import_default(*node.as_table());
        for (auto&& [key, node] : document) {
            if (key.str() != "provider") continue;
            for (auto&& [name, provider] : *node.as_table())
                import_provider(name.str(), *provider.as_table());
        }
        for (auto&& [key, node] : document)
            if (key.str() != "default" && key.str() != "provider")
                import_domain(key.str(), *node.as_table());
        return std::move(out_);
    }

  private:
    /// Every section is a table; those of providers stand one deeper.
    std::optional<ConfigProblem> misshapen(const toml::table& document) const {
        const auto wrong = [&](const toml::node& at, std::string_view name) {
            return ConfigProblem{file_, at.source().begin.line, at.source().begin.column,
                                 fmt::format("{} is no section", name),
                                 "a shaping file has [\"domain\"] and [provider.\"name\"]"};
        };
        for (auto&& [key, node] : document) {
            if (!node.is_table()) return wrong(node, key.str());
            if (key.str() != "provider") continue;
            for (auto&& [name, provider] : *node.as_table())
                if (!provider.is_table()) return wrong(provider, name.str());
        }
        return std::nullopt;
    }

    void line(std::string_view text) {
        out_.toml += prefix_;
        out_.toml += text;
        out_.toml += '\n';
    }
    void warn(const toml::node& at, std::string text) {
        out_.toml += fmt::format("# NOT TAKEN OVER: {}\n", text);
        out_.warnings.push_back(
            fmt::format("{}:{}: {}", file_, at.source().begin.line, std::move(text)));
    }
    void note(std::string_view text) { out_.toml += fmt::format("# {}\n", text); }

    /// What holds for all receivers stands in the main file.
    void import_default(const toml::table& section) {
        out_.toml += "\n# For [delivery] in sluice.toml:\n";
        prefix_ = "#     ";
        import_limits(section);
        prefix_.clear();
        out_.warnings.push_back(
            fmt::format("{}:{}: [\"default\"]: copy its lines, comments here, to [delivery] in "
                        "sluice.toml; a file of providers cannot set them",
                        file_, section.source().begin.line));
        import_rules(section, {});
    }

    void import_provider(std::string_view name, const toml::table& section) {
        std::vector<std::string> suffixes;
        std::vector<std::pair<const toml::node*, std::string>> others;
        if (const toml::array* matches = section["match"].as_array()) {
            for (const toml::node& match : *matches) {
                const toml::table* one = match.as_table();
                const auto* suffix = one ? (*one)["MXSuffix"].as_string() : nullptr;
                if (suffix && !check_mx_suffix(suffix->get()))
                    suffixes.push_back(suffix->get());
                else
                    others.emplace_back(&match, shown(match));
            }
        }
        const std::string label = label_of(name);
        out_.toml += '\n';
        for (const auto& [at, text] : others)
            warn(*at,
                 fmt::format("provider {} match = {}: what counts here is the ends of MX names, "
                             "with a dot in front",
                             name, text));
        if (suffixes.empty()) {
            warn(section, fmt::format("provider {}: it has no MXSuffix", name));
            return;
        }
        ++out_.providers;
        line("[[provider]]");
        line("name = " + toml_text(label));
        std::string list;
        for (const std::string& suffix : suffixes)
            list += (list.empty() ? "" : ", ") + toml_text(suffix);
        line("mx_suffix = [" + list + "]");
        import_limits(section);
        import_rules(section, label);
    }

    void import_domain(std::string_view name, const toml::table& section) {
        out_.toml += '\n';
        if (const auto why = check_domain_entry(std::string(name))) {
            warn(section, fmt::format("[\"{}\"]: {}", name, *why));
            return;
        }
        if (section["mx_rollup"].value_or(true)) {
            note(
                fmt::format("There it holds for all domains with the MX of {}, here for it alone: "
                            "make it a [[provider]] with the end",
                            name));
            note(
                "of these hosts' names in mx_suffix if it is to hold for them (`sluice explain` "
                "shows them).");
        }
        ++out_.domains;
        line("[[domain]]");
        line("name = " + toml_text(name));
        import_limits(section);
        if (const toml::array* rules = section["automation"].as_array()) {
            for (const toml::node& rule : *rules)
                warn(rule,
                     fmt::format("automation of [\"{}\"]: rules are for a [[provider]] or for "
                                 "all hosts, not for one domain",
                                 name));
        }
    }

    void import_limits(const toml::table& section) {
        for (auto&& [key, node] : section) {
            const std::string_view name = key.str();
            if (name == "match" || name == "automation" || name == "mx_rollup") continue;
            if (name == "sources") {
                warn(node, fmt::format("{}: limits of one source are those of its [[source]]",
                                       shown(node)));
            } else if (name == "provider_connection_limit" && prefix_.empty()) {
                if (!number("total_connections", text_of(node), 100'000))
                    warn(node, fmt::format("{} = {}: it cannot be read", name, shown(node)));
            } else if (!import_limit(name, node)) {
                warn(node, fmt::format("{} = {}: {}", name, shown(node), why_not(name)));
            }
        }
    }

    static std::string_view why_not(std::string_view name) {
        for (const auto& [key, why] : left_out)
            if (key == name) return why;
        return "there is no such setting here, or the value cannot be read";
    }

    bool import_limit(std::string_view name, const toml::node& node) {
        const std::string text = text_of(node);
        if (name == "connection_limit") return number("connections", text, 100'000);
        if (name == "max_deliveries_per_connection")
            return number("messages_per_connection", text, 1'000'000);
        if (name == "max_recipients_per_batch")
            return number("recipients_per_transaction", text, 1'000);
        if (name == "max_connection_rate") return rate("connection_rate", text);
        if (name == "max_message_rate") return rate("rate", text);
        if (name == "idle_timeout") return duration("idle", text);
        if (name == "enable_tls") return tls(text);
        return false;
    }

    /// `most`: of the setting.
    bool number(std::string_view key, std::string_view text, uint64_t most) {
        const auto value = parse_shaping_count(text);
        if (!value || *value == 0) return false;
        line(fmt::format("{} = {}", key, std::min(*value, most)));
        return true;
    }
    bool rate(std::string_view key, const std::string& text) {
        const auto value = parse_shaping_rate(text);
        if (value) line(fmt::format("{} = \"{}\"", key, rate_text(*value)));
        return value.has_value();
    }
    bool duration(std::string_view key, const std::string& text) {
        auto value = parse_shaping_duration(text);
        if (value)
            value = std::clamp<milliseconds>(*value, milliseconds(100), std::chrono::hours(1));
        // In [delivery] it is the timeout of all connections.
        const std::string_view where = prefix_.empty() ? "" : "   # in [timeouts]";
        if (value) line(fmt::format("{} = \"{}\"{}", key, format_duration(*value), where));
        return value.has_value();
    }
    /// Its Opportunistic fails where a certificate does not hold; ours never demands one then.
    bool tls(std::string_view mode) {
        const std::string_view ours = mode == "Disabled"                ? "none"
                                      : mode == "OpportunisticInsecure" ? "opportunistic"
                                      : mode == "Opportunistic"         ? "opportunistic"
                                      : mode == "RequiredInsecure"      ? "required"
                                      : mode == "Required"              ? "verified"
                                                                        : "";
        if (!ours.empty()) line(fmt::format("tls = \"{}\"", ours));
        return !ours.empty();
    }

    void import_rules(const toml::table& section, const std::string& provider) {
        const toml::array* rules = section["automation"].as_array();
        if (!rules) return;
        size_t place = 0;
        for (const toml::node& node : *rules) {
            ++place;
            if (const toml::table* rule = node.as_table()) import_rule(*rule, provider, place);
        }
    }

    void import_rule(const toml::table& rule, const std::string& provider, size_t place) {
        out_.toml += '\n';
        const std::string name =
            fmt::format("{}-{}", provider.empty() ? "default" : provider, place);
        const auto refuse = [&](std::string_view why) {
            warn(rule, fmt::format("automation {}: {}", name, why));
        };
        const auto match = match_of(rule);
        if (!match) return refuse("it has no regex");
        std::string why;
        if (!engine::make_match(*match, &why))
            return refuse(
                fmt::format("the expression {} is none of RE2 ({})", toml_text(*match), why));
        const auto lasts = parse_shaping_duration(rule["duration"].value_or(std::string()));
        if (!lasts) return refuse("its duration cannot be read");
        std::vector<std::string> rest;
        const std::string_view action = action_of(rule, rest);
        for (const std::string& one : rest)
            refuse(fmt::format("its action {} has no counterpart", one));
        if (action.empty()) return;
        ++out_.rules;
        line("[[automation]]");
        line("name = " + toml_text(name));
        if (!provider.empty()) line("provider = " + toml_text(provider));
        line("match = " + toml_text(*match));
        if (const auto threshold = rule["trigger"]["Threshold"].value<std::string>()) {
            const auto often = parse_shaping_rate(*threshold);
            if (often) {
                line(fmt::format("count = {}", std::min<uint64_t>(often->count, 10'000)));
                const auto within = std::min<milliseconds>(often->period, std::chrono::hours(24));
                line(fmt::format("within = \"{}\"", format_duration(within)));
            } else {
                refuse(fmt::format("its trigger {} cannot be read: it fires at once", *threshold));
            }
        }
        if (action == "slow")
            note(
                "There it sets a limit; here the source goes half as fast, and further replies "
                "halve "
                "it again.");
        line(fmt::format("action = \"{}\"", action));
        const auto bounded =
            std::clamp<milliseconds>(*lasts, std::chrono::seconds(1), std::chrono::hours(24 * 30));
        line(fmt::format("duration = \"{}\"", format_duration(bounded)));
    }

    /// One expression for all, in the case in which they are written.
    static std::optional<std::string> match_of(const toml::table& rule) {
        if (const auto one = rule["regex"].value<std::string>()) return "(?-i:" + *one + ")";
        const toml::array* many = rule["regex"].as_array();
        if (!many || many->empty()) return std::nullopt;
        std::string all;
        for (const toml::node& one : *many) all += (all.empty() ? "" : "|") + text_of(one);
        return "(?-i:" + all + ")";
    }

    /// Ours that comes closest to all of its actions together; those without one go to `rest`.
    static std::string_view action_of(const toml::table& rule, std::vector<std::string>& rest) {
        std::string_view ours;
        const auto look = [&](const toml::node& action) {
            const auto* word = action.as_string();
            const toml::table* set =
                action.is_table() ? (*action.as_table())["SetConfig"].as_table() : nullptr;
            const std::string name = set ? (*set)["name"].value_or(std::string()) : "";
            if (word && word->get() == "Suspend")
                ours = "rest_source";
            else if (name == "max_message_rate" || name == "connection_limit" ||
                     name == "max_connection_rate")
                ours = ours.empty() ? "slow" : ours;
            else
                rest.push_back(shown(action));
        };
        const toml::node* actions = rule.get("action");
        if (!actions) return ours;
        if (const toml::array* many = actions->as_array())
            for (const toml::node& one : *many) look(one);
        else
            look(*actions);
        return ours;
    }

    const std::string file_;
    std::string prefix_;  // of lines that are settings
    ShapingImport out_;
};

}  // namespace

std::expected<ShapingImport, ConfigProblem> import_kumo_shaping(std::string_view text,
                                                                std::string_view file) {
    const toml::parse_result document = toml::parse(text);
    if (document.failed()) {
        const toml::parse_error& error = document.error();
        const auto at = error.source().begin;
        return std::unexpected(ConfigProblem{std::string(file), at.line, at.column,
                                             std::string(error.description()),
                                             "give a shaping file in TOML"});
    }
    return Importer(file).run(document.table());
}

}  // namespace ingest

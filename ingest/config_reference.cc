#include "ingest/config_reference.h"

#include <fmt/format.h>

#include <algorithm>

#include "ingest/roff.h"
#include "ingest/setting.h"
#include "ingest/terminal.h"
#include "ingest/units.h"
#include "ingest/version.h"

namespace ingest {

namespace {

using Type = Setting::Type;

/// "[node]", or "[[provider]]".
std::string heading(std::string_view section) {
    return is_repeated(section) ? fmt::format("[[{}]]", section) : fmt::format("[{}]", section);
}

std::string bound_text(Type type, uint64_t bound) {
    if (type == Type::duration || type == Type::durations)
        return format_duration(std::chrono::milliseconds(bound));
    if (type == Type::size) return short_size(static_cast<double>(bound));
    return grouped(bound);
}

/// "1 to 64"; empty when there are none, or none that a person could meet.
std::string bounds_text(const Setting& setting) {
    const bool counted = setting.type == Type::integer || setting.type == Type::duration ||
                         setting.type == Type::durations || setting.type == Type::size;
    const auto [least, most] = std::pair(setting.bounds.least, setting.bounds.most);
    if (!counted || (least == 0 && most == UINT64_MAX)) return "";
    if (most == UINT64_MAX) return "at least " + bound_text(setting.type, least);
    return fmt::format("{} to {}", bound_text(setting.type, least), bound_text(setting.type, most));
}

std::string type_text(const Setting& setting) {
    std::string text(to_string(setting.type));
    if (const std::string bounds = bounds_text(setting); !bounds.empty())
        text += fmt::format("; {}", bounds);
    return text;
}

std::string default_text(const Setting& setting) {
    if (setting.bounds.required) return "must be given";
    return setting.fallback.empty() ? "" : fmt::format("`{}`", setting.fallback);
}

constexpr std::string_view restart_text = " A change needs a restart.";

/// Cells end at bars, and a "<" would begin HTML.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '|' || c == '<') out += '\\';
        out += c;
    }
    return out;
}

/// Calls begin(section) and each(setting), in the order of the table.
template <class Begin, class Each>
void walk(Begin begin, Each each) {
    std::string_view section;
    for (const Setting& setting : settings()) {
        if (setting.section != section) begin(section = setting.section);
        each(setting);
    }
}

}  // namespace

std::string config_reference() {
    std::string out =
        "# Configuration reference\n\n"
        "Every setting of `sluice.toml`, made by `sluice man --markdown`; a test fails when it is "
        "not what the program says.\n"
        "[sluice.example.toml](sluice.example.toml) shows them in use, `sluice check` tells "
        "where each value in force comes from.\n"
        "Sections in double brackets may come many times. `sluice reload` puts changes in force, "
        "except where a restart is mentioned.\n";
    walk(
        [&](std::string_view section) {
            out += fmt::format(
                "\n## {}\n\n| key | default | what it is | value |\n|---|---|---|---|\n",
                heading(section));
        },
        [&](const Setting& s) {
            out += fmt::format("| `{}` | {} | {}{}{} | {} |\n", s.key, cell(default_text(s)),
                               cell(s.help), s.bounds.secret ? " Shown to nobody." : "",
                               s.reload == Setting::Reload::restart ? restart_text : "",
                               cell(type_text(s)));
        });
    return out;
}

std::string config_man_page() {
    std::string out = fmt::format(
        ".TH SLUICE.TOML 5 \"\" \"sluice {}\" \"Sluice\"\n.SH NAME\nsluice.toml \\- "
        "configuration of sluice\n.SH DESCRIPTION\nTOML. Sections in double brackets may come "
        "many times. \\fBsluice check\\fR(1) says what is wrong with a file.\n",
        version);
    walk([&](std::string_view section) { out += fmt::format(".SH {}\n", roff(heading(section))); },
         [&](const Setting& s) {
             const std::string fallback = s.bounds.required ? " It must be given."
                                          : s.fallback.empty()
                                              ? ""
                                              : fmt::format(" Default: {}.", roff(s.fallback));
             out += fmt::format(".TP\n\\fB{}\\fR\n{}{}{}\n({})\n", roff(s.key), roff(s.help),
                                s.reload == Setting::Reload::restart ? restart_text : "", fallback,
                                roff(type_text(s)));
         });
    return out + ".SH SEE ALSO\n\\fBsluice\\fR(1)\n";
}

}  // namespace ingest

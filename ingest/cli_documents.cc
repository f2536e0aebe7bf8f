#include "ingest/cli_documents.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>

#include "ingest/config_reference.h"
#include "ingest/roff.h"
#include "ingest/version.h"

namespace ingest {

namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& program) {
    auto commands = program.get_subcommands([](const CLI::App*) { return true; });
    std::ranges::sort(commands, {}, [](const CLI::App* c) { return c->get_name(); });
    return commands;
}

std::vector<const CLI::Option*> options_of(const CLI::App& command) {
    return command.get_options([](const CLI::Option* option) { return !option->get_positional(); });
}

std::vector<const CLI::Option*> arguments_of(const CLI::App& command) {
    return command.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

bool takes_value(const CLI::Option& option) {
    return option.get_type_size_max() > 0;
}

/// "-c", "--config".
std::vector<std::string> names_of(const CLI::Option& option) {
    std::vector<std::string> names;
    for (const std::string& name : option.get_snames()) names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
    return names;
}

// ---- man

void append_options(std::string& out, const CLI::App& command) {
    const auto options = options_of(command);
    if (options.empty()) return;
    out += ".SH OPTIONS\n";
    for (const CLI::Option* option : options) {
        std::string names;
        for (const std::string& name : names_of(*option))
            names += fmt::format("{}\\fB{}\\fR", names.empty() ? "" : ", ", roff(name));
        out += fmt::format(".TP\n{}{}\n{}\n", names, takes_value(*option) ? " \\fIVALUE\\fR" : "",
                           roff(option->get_description()));
    }
}

void append_synopsis(std::string& out, const CLI::App& command, const std::string& name) {
    out += fmt::format(".SH SYNOPSIS\n\\fB{}\\fR", roff(name));
    if (!options_of(command).empty()) out += " [\\fIOPTION\\fR]...";
    for (const CLI::Option* argument : arguments_of(command)) {
        const std::string word = roff(argument->get_single_name());
        out += argument->get_required() ? fmt::format(" \\fI{}\\fR", word)
                                        : fmt::format(" [\\fI{}\\fR]", word);
    }
    out += '\n';
}

// ---- completion

std::string shell_quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string long_names(const CLI::App& command) {
    std::string out;
    for (const CLI::Option* option : options_of(command))
        for (const std::string& name : names_of(*option))
            if (name.starts_with("--")) out += (out.empty() ? "" : " ") + name;
    return out;
}

std::string bash(const CLI::App& program) {
    std::string names, cases;
    for (const CLI::App* command : commands_of(program)) {
        names += (names.empty() ? "" : " ") + command->get_name();
        cases +=
            fmt::format("        {}) words=\"{}\" ;;\n", command->get_name(), long_names(*command));
    }
    return fmt::format(
        R"(# bash completion for sluice; made by `sluice completion bash`
_sluice() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words=
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{} --help --version" -- "$current"))
        return
    fi
    case ${{COMP_WORDS[1]}} in
{}    esac
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
    else
        COMPREPLY=($(compgen -f -- "$current"))
    fi
}}
complete -o filenames -F _sluice sluice
)",
        names, cases);
}

/// Brackets and colons are zsh's own.
std::string zsh_words(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '[' || c == ']' || c == ':') out += '\\';
        out += c;
    }
    return out;
}

std::string zsh(const CLI::App& program) {
    std::string commands, cases;
    for (const CLI::App* command : commands_of(program)) {
        commands += fmt::format(
            "        {}\n",
            shell_quoted(command->get_name() + ":" + zsh_words(command->get_description())));
        cases += fmt::format("        {}) _arguments", command->get_name());
        for (const CLI::Option* option : options_of(*command)) {
            for (const std::string& name : names_of(*option)) {
                cases += " " + shell_quoted(fmt::format(
                                   "{}[{}]{}", name, zsh_words(option->get_description()),
                                   takes_value(*option) ? ":value:_files" : ""));
            }
        }
        cases += " '*:file:_files' ;;\n";
    }
    return fmt::format(
        R"(#compdef sluice
# zsh completion for sluice; made by `sluice completion zsh`
_sluice() {{
    local -a commands=(
{}    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
{}    esac
}}
_sluice "$@"
)",
        commands, cases);
}

std::string fish(const CLI::App& program) {
    std::string out = "# fish completion for sluice; made by `sluice completion fish`\n";
    for (const CLI::App* command : commands_of(program)) {
        out += fmt::format("complete -c sluice -n __fish_use_subcommand -a {} -d {}\n",
                           command->get_name(), shell_quoted(command->get_description()));
        for (const CLI::Option* option : options_of(*command)) {
            for (const std::string& name : option->get_lnames()) {
                out += fmt::format(
                    "complete -c sluice -n '__fish_seen_subcommand_from {}' -l {}{} -d {}\n",
                    command->get_name(), name, takes_value(*option) ? " -r" : "",
                    shell_quoted(option->get_description()));
            }
        }
    }
    return out;
}

}  // namespace

std::string man_page(const CLI::App& program, const CLI::App& command) {
    const bool whole = &program == &command;
    const std::string title = whole ? "sluice" : "sluice-" + command.get_name();
    const std::string name = whole ? "sluice" : "sluice " + command.get_name();
    std::string upper = title;
    std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
    std::string out =
        fmt::format(".TH {} 1 \"\" \"sluice {}\" \"Sluice\"\n.SH NAME\n{} \\- {}\n", roff(upper),
                    version, roff(title), roff(command.get_description()));
    if (whole) {
        out += ".SH SYNOPSIS\n\\fBsluice\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.SH COMMANDS\n";
        for (const CLI::App* one : commands_of(program))
            out += fmt::format(".TP\n\\fBsluice\\-{}\\fR(1)\n{}\n", roff(one->get_name()),
                               roff(one->get_description()));
    } else {
        append_synopsis(out, command, name);
        if (const auto arguments = arguments_of(command); !arguments.empty()) {
            out += ".SH ARGUMENTS\n";
            for (const CLI::Option* argument : arguments)
                out += fmt::format(".TP\n\\fI{}\\fR\n{}\n", roff(argument->get_single_name()),
                                   roff(argument->get_description()));
        }
    }
    append_options(out, command);
    out +=
        ".SH EXIT STATUS\n0: done. 1: failed. 2: wrong usage, or a configuration that is not "
        "right.\n";
    if (!whole) out += ".SH SEE ALSO\n\\fBsluice\\fR(1)\n";
    return out;
}

std::expected<size_t, std::string> write_man_pages(const CLI::App& program,
                                                   const std::string& folder) {
    namespace fs = std::filesystem;
    size_t written = 0;
    std::string wrong;
    const auto write = [&](const std::string& name, const std::string& page) {
        const fs::path file = fs::path(folder) / name;
        std::ofstream out(file, std::ios::binary | std::ios::trunc);
        out << page;
        out.close();
        if (!out && wrong.empty()) wrong = fmt::format("{} cannot be written", file.string());
        ++written;
    };
    std::error_code error;
    fs::create_directories(folder, error);
    write("sluice.1", man_page(program, program));
    for (const CLI::App* command : commands_of(program))
        write(fmt::format("sluice-{}.1", command->get_name()), man_page(program, *command));
    write("sluice.toml.5", config_man_page());
    if (!wrong.empty()) return std::unexpected(wrong);
    return written;
}

std::string completion(const CLI::App& program, std::string_view shell) {
    return shell == "bash" ? bash(program) : shell == "zsh" ? zsh(program) : fish(program);
}

}  // namespace ingest

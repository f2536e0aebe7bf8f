// sluice suppress: add, remove, import and export addresses of a suppression list.
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/http_client.h"
#include "ingest/terminal.h"

namespace ingest {

namespace {

using nlohmann::json;
constexpr size_t piece_bytes = 256 << 10;
constexpr size_t page_entries = 10'000;
constexpr std::string_view name = "suppress";

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

/// The cells of a line; quotes as RFC 4180 has them, but no line breaks inside.
std::vector<std::string> cells_of(std::string_view line) {
    std::vector<std::string> cells(1);
    bool quoted = false;
    for (size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
            cells.back() += '"';
            ++i;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == ',' || c == ';' || c == '\t')) {
            cells.emplace_back();
        } else if (c != '\r') {
            cells.back() += c;
        }
    }
    for (std::string& cell : cells) {
        cell.erase(0, cell.find_first_not_of(' '));
        cell.erase(cell.find_last_not_of(' ') + 1);
    }
    return cells;
}

/// Turns lines of a file into lines of the API.
class Lines {
  public:
    Lines(std::istream& in, const SuppressOptions& options) : in_(in), options_(options) {}

    std::string next() {
        std::string piece, line;
        while (piece.size() < piece_bytes && std::getline(in_, line)) piece += taken(line);
        return piece;
    }

  private:
    std::string taken(const std::string& line) {
        if (line.find_first_not_of(" \t\r") == std::string::npos) return "\n";
        json entry;
        if (line.starts_with('{')) {
            entry = json::parse(line, nullptr, false);
            if (!entry.is_object()) return line + "\n";  // the daemon says what is wrong with it
        } else {
            const std::vector<std::string> cells = cells_of(line);
            if (std::exchange(first_, false) && !line.contains('@')) {
                read_header(cells);
                return "\n";
            }
            entry = {{"address", address_ < cells.size() ? cells[address_] : ""}};
            if (reason_ && *reason_ < cells.size() && !cells[*reason_].empty())
                entry["reason"] = cells[*reason_];
        }
        if (!options_.tenant.empty()) entry["tenant"] = options_.tenant;
        if (!entry.contains("reason") && !options_.reason.empty())
            entry["reason"] = options_.reason;
        if (!entry.contains("source")) entry["source"] = "import";
        return entry.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    }

    void read_header(const std::vector<std::string>& cells) {
        for (size_t i = 0; i < cells.size(); ++i) {
            const std::string title = lower(cells[i]);
            if (title == "address" || title == "email" || title == "recipient") address_ = i;
            if (title == "reason") reason_ = i;
        }
    }

    std::istream& in_;
    const SuppressOptions& options_;
    bool first_ = true;
    size_t address_ = 0;
    std::optional<size_t> reason_;
};

int report(const HttpReply& reply, Output output) {
    const json answer = json::parse(reply.body, nullptr, false);
    if (!answer.is_object() || !answer.contains("added") || !answer.contains("lines"))
        return failed(name, readable_errors(reply.status, reply.body));
    const auto rejected = answer.value("rejected", uint64_t{0});
    if (output == Output::json) {
        fmt::print("{}\n", answer.dump());
    } else {
        for (const json& one : answer.value("errors", json::array()))
            fmt::print(stderr, "sluice suppress: line {}: {}\n", one.value("line", uint64_t{0}),
                       printable(one.value("message", "")));
        fmt::print("added {}, rejected {}\n", grouped(answer.value("added", uint64_t{0})),
                   grouped(rejected));
    }
    return rejected == 0 ? 0 : 1;
}

int send_lines(const SuppressOptions& options, std::function<std::string()> next) {
    const auto reply = call({.server = options.client.server,
                             .method = "POST",
                             .target = "/v1/suppressions",
                             .fields = {{"Content-Type", "application/x-ndjson"}},
                             .next_piece = std::move(next),
                             .silence_max = std::chrono::seconds(600)});
    if (!reply) return failed(name, reply.error());
    return report(*reply, options.client.output);
}

int take_in(const SuppressOptions& options) {
    std::ifstream file;
    if (options.file != "-") {
        file.open(options.file);
        if (!file) return failed(name, fmt::format("cannot read {}", options.file));
    }
    Lines lines(options.file == "-" ? std::cin : file, options);
    return send_lines(options, [&] { return lines.next(); });
}

int add(const SuppressOptions& options) {
    std::string text;
    for (const std::string& address : options.addresses) {
        json entry{{"address", address}};
        if (!options.tenant.empty()) entry["tenant"] = options.tenant;
        if (!options.reason.empty()) entry["reason"] = options.reason;
        text += entry.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    }
    return send_lines(options, [&] { return std::exchange(text, {}); });
}

std::string query_of(const SuppressOptions& options) {
    return options.tenant.empty() ? "" : "&tenant=" + percent_encoded(options.tenant);
}

int remove(const SuppressOptions& options) {
    int status = 0;
    for (const std::string& address : options.addresses) {
        const auto reply = call(
            {.server = options.client.server,
             .method = "DELETE",
             .target = "/v1/suppressions?address=" + percent_encoded(address) + query_of(options)});
        if (!reply) return failed(name, reply.error());
        if (!reply->ok()) {
            status = failed(
                name, printable(address) + ": " + readable_errors(reply->status, reply->body));
        } else if (options.client.output == Output::text) {
            fmt::print("removed {}\n", printable(address));
        }
    }
    return status;
}

int give_out(const SuppressOptions& options) {
    std::ofstream file;
    if (options.file != "-") {
        file.open(options.file, std::ios::trunc);
        if (!file) return failed(name, fmt::format("cannot write {}", options.file));
    }
    std::ostream& out = options.file == "-" ? std::cout : file;
    std::string after;
    for (bool more = true; more;) {
        const auto reply =
            call({.server = options.client.server,
                  .target = fmt::format("/v1/suppressions?limit={}&after={}{}", page_entries,
                                        percent_encoded(after), query_of(options))});
        if (!reply) return failed(name, reply.error());
        if (!reply->ok()) return failed(name, readable_errors(reply->status, reply->body));
        out << reply->body;
        const size_t end = reply->body.rfind('\n');
        more = std::ranges::count(reply->body, '\n') == static_cast<ptrdiff_t>(page_entries);
        if (!more || end == std::string::npos) break;
        const size_t begin = end == 0 ? 0 : reply->body.rfind('\n', end - 1) + 1;
        after = json::parse(reply->body.substr(begin, end - begin)).value("address", "");
    }
    out.flush();
    return out ? 0 : failed(name, "the list could not be written whole");
}

}  // namespace

int suppress(const SuppressOptions& options) {
    using What = SuppressOptions::What;
    switch (options.what) {
        case What::add:
            return add(options);
        case What::remove:
            return remove(options);
        case What::take_in:
            return take_in(options);
        case What::give_out:
            return give_out(options);
    }
    return 1;
}

}  // namespace ingest

#include "metrics/log.h"

#include <fmt/format.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "metrics/check.h"

namespace metrics::log {

namespace {
constexpr const char* pattern = "%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v";

struct Writer {
    std::shared_ptr<spdlog::details::thread_pool> pool;
    std::shared_ptr<spdlog::async_logger> logger;
};
// One per process, because stderr is. Set before the shards start and cleared after they have
// ended.
std::unique_ptr<Writer> writer;
std::atomic<uint64_t> dropped_before{0};  // by writers that have ended

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warn:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
    }
    return spdlog::level::info;
}

/// Colour is for people: not for the journal, a file or a pipe, and not for who asked for none
/// (no-color.org).
bool wants_colour() {
    const char* no_colour = std::getenv("NO_COLOR");
    return isatty(STDERR_FILENO) == 1 && !std::getenv("JOURNAL_STREAM") &&
           !(no_colour && *no_colour);
}

std::unique_ptr<spdlog::formatter> formatter() {
    return std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc);
}

spdlog::sink_ptr make_sink() {
    if (wants_colour()) return std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>();
    return std::make_shared<spdlog::sinks::stderr_sink_mt>();
}

/// Everything but printable ASCII is escaped: control bytes could forge lines, and a terminal or a
/// viewer can be fooled by look-alikes and by characters that change the writing direction.
void append_escaped(std::string& line, std::string_view text) {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            line += '\\';
            line += c;
        } else if (c == '\n') {
            line += "\\n";
        } else if (c == '\r') {
            line += "\\r";
        } else if (byte < 0x20 || byte > 0x7e) {
            fmt::format_to(std::back_inserter(line), "\\x{:02x}", byte);
        } else {
            line += c;
        }
    }
}

bool needs_quotes(std::string_view text) {
    return text.empty() || text.find_first_of(" =\"") != std::string_view::npos;
}

void write(Level level, std::string_view event, Fields fields) {
    if (!writer) {
        if (level < Level::warn) return;
        const std::string line = format(event, fields) + "\n";
        std::fwrite(line.data(), 1, line.size(), stderr);
        return;
    }
    const auto spdlog_level = to_spdlog(level);
    if (!writer->logger->should_log(spdlog_level)) return;
    const std::string line = format(event, fields);
    writer->logger->log(spdlog_level, spdlog::string_view_t(line.data(), line.size()));
}
}  // namespace

void Value::append_to(std::string& line) const {
    if (const auto* n = std::get_if<int64_t>(&of_)) {
        fmt::format_to(std::back_inserter(line), "{}", *n);
    } else if (const auto* u = std::get_if<uint64_t>(&of_)) {
        fmt::format_to(std::back_inserter(line), "{}", *u);
    } else if (const auto* d = std::get_if<double>(&of_)) {
        fmt::format_to(std::back_inserter(line), "{:.6g}", *d);
    } else {
        const std::string_view whole = std::get<std::string_view>(of_);
        const std::string_view text = whole.substr(0, text_max);
        const bool quoted = needs_quotes(text);
        if (quoted) line += '"';
        append_escaped(line, text);
        if (text.size() < whole.size()) line += "...";
        if (quoted) line += '"';
    }
}

std::string format(std::string_view event, Fields fields) {
    std::string line;
    line.reserve(128);
    append_escaped(line, event);
    for (const Field& field : fields) {
        line += ' ';
        append_escaped(line, field.key);
        line += '=';
        field.value.append_to(line);
    }
    return line;
}

void debug(std::string_view event, Fields fields) {
    write(Level::debug, event, fields);
}
void info(std::string_view event, Fields fields) {
    write(Level::info, event, fields);
}
void warn(std::string_view event, Fields fields) {
    write(Level::warn, event, fields);
}
void error(std::string_view event, Fields fields) {
    write(Level::error, event, fields);
}

void start(Options options) {
    CHECK(!writer, "the log was started twice");
    auto next = std::make_unique<Writer>();
    next->pool = std::make_shared<spdlog::details::thread_pool>(options.queue_max, 1);
    next->logger = std::make_shared<spdlog::async_logger>(
        "sluice", make_sink(), next->pool, spdlog::async_overflow_policy::overrun_oldest);
    next->logger->set_level(to_spdlog(options.level));
    next->logger->set_formatter(formatter());
    writer = std::move(next);
}

void stop() {
    if (!writer) return;
    dropped_before += writer->pool->overrun_counter();
    writer.reset();  // the pool's destructor writes what is queued before it joins
}

uint64_t dropped() {
    return dropped_before + (writer ? writer->pool->overrun_counter() : 0);
}

}  // namespace metrics::log

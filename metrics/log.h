// Log: one line per event at the edge, on stderr: time, level, event name, key=value fields. Lines
// go through a bounded queue to one writing thread; when stderr does not take them, the oldest are
// dropped and counted, because a shard must never wait for a terminal or a pipe.
//
//     metrics::log::info("delivery.retry", {{"job", id}, {"attempt", 3}, {"reply", reply.text}});
//
// Never log a body, a subject, a credential; a full address at debug level only.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace metrics::log {

enum class Level : uint8_t { debug, info, warn, error };

/// A field's value. Text is borrowed for the call, escaped, and cut at `text_max` bytes.
class Value {
  public:
    Value(std::string_view text) : of_(text) {}
    Value(const std::string& text) : of_(std::string_view(text)) {}
    Value(const char* text) : of_(std::string_view(text)) {}
    Value(bool yes) : of_(std::string_view(yes ? "yes" : "no")) {}
    Value(std::signed_integral auto n) : of_(static_cast<int64_t>(n)) {}
    Value(std::unsigned_integral auto n) : of_(static_cast<uint64_t>(n)) {}
    Value(std::floating_point auto n) : of_(static_cast<double>(n)) {}
    /// Durations are written in seconds, as everywhere in metrics.
    template <class Rep, class Period>
    Value(std::chrono::duration<Rep, Period> d) : of_(std::chrono::duration<double>(d).count()) {}

    static constexpr size_t text_max = 256;
    void append_to(std::string& line) const;

  private:
    std::variant<std::string_view, int64_t, uint64_t, double> of_;
};

struct Field {
    std::string_view key;
    Value value;
};
using Fields = std::initializer_list<Field>;

/// "event key=value …" with everything but printable ASCII escaped. What the functions below print
/// after the level.
std::string format(std::string_view event, Fields fields);

void debug(std::string_view event, Fields fields = {});
void info(std::string_view event, Fields fields = {});
void warn(std::string_view event, Fields fields = {});
void error(std::string_view event, Fields fields = {});

struct Options {
    Level level = Level::info;
    size_t queue_max = 8192;  // lines that wait for stderr
};
/// Starts the writing thread. Before it and after stop(), warn and error go straight to stderr and
/// the rest nowhere, so that tests are quiet. Not from two threads at once.
void start(Options options);
/// Writes what waits and ends the thread. No other thread may log meanwhile.
void stop();
uint64_t dropped();  // lines lost since the program began; any thread

}  // namespace metrics::log

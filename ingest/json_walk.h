// Walking through a JSON document with simdjson and collecting everything that is wrong with it:
// typed access that reports errors with their field path, and positions of syntax errors. Knows
// JSON, not mail.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/api_error.h"

namespace ingest {

/// Where a value stands, as a chain on the stack: it becomes text only when something is wrong
/// there.
struct FieldPath {
    const FieldPath* parent = nullptr;
    std::string_view name;
    int64_t index = -1;  // of an array element; then there is no name

    FieldPath in(std::string_view member) const { return {this, member}; }
    FieldPath at(size_t element) const { return {this, {}, static_cast<int64_t>(element)}; }
    std::string text() const;  // "recipients[3].vars.name"
};

class JsonWalk {
  public:
    static constexpr size_t errors_max = 1'000;  // reported at once; of the rest only the number
    static constexpr int depth_max = 32;
    static constexpr size_t shown_octets_max = 100;  // of a wrong name or value inside a message

    /// Syntax: nothing more can be read from this document.
    bool broken() const { return broken_; }
    void break_off() { broken_ = true; }
    std::vector<ApiError>& errors() { return errors_; }
    void error(const FieldPath& at, std::string_view code, std::string message,
               std::string hint = {});
    void wrong_type(const FieldPath& at, std::string_view wanted);
    /// Adds how many errors were left out, and gives all away.
    std::vector<ApiError> take_errors();
    void reset();

    /// nullopt: not of that type (reported), or broken.
    std::optional<std::string_view> text(simdjson::ondemand::value value, const FieldPath& at);
    std::optional<bool> flag(simdjson::ondemand::value value, const FieldPath& at);
    std::optional<simdjson::ondemand::object> object(simdjson::ondemand::value value,
                                                     const FieldPath& at);
    std::optional<simdjson::ondemand::array> array(simdjson::ondemand::value value,
                                                   const FieldPath& at);
    /// A string, or a number or truth value as it is written; null is "".
    std::optional<std::string_view> scalar(simdjson::ondemand::value value, const FieldPath& at);
    /// The object as it is written, every part of it checked, and not deeper than depth_max.
    std::optional<std::string_view> verbatim(simdjson::ondemand::value value, const FieldPath& at);

    /// Calls each(i, value) for every member; i is the place of its name in `known`. Others and
    /// duplicates are errors.
    template <class Each>
    void members(simdjson::ondemand::object object, const FieldPath& at,
                 std::span<const std::string_view> known, Each each) {
        uint64_t seen = 0;
        every_member(object, [&](std::string_view name, simdjson::ondemand::value value) {
            const size_t i = static_cast<size_t>(std::ranges::find(known, name) - known.begin());
            if (i == known.size()) return unknown(at.in(name), known);
            if (seen & (uint64_t{1} << i)) return duplicate(at.in(name));
            seen |= uint64_t{1} << i;
            each(i, value);
        });
    }
    /// Calls each(name, value) for every member, whatever its name.
    template <class Each>
    void every_member(simdjson::ondemand::object object, Each each) {
        for (auto item : object) {
            simdjson::ondemand::field field;
            std::string_view name;
            if (std::move(item).get(field) || field.unescaped_key().get(name)) return break_off();
            each(name, field.value());
            if (broken_) return;
        }
    }
    void unknown(const FieldPath& at, std::span<const std::string_view> known);
    void duplicate(const FieldPath& at);

  private:
    bool check(simdjson::ondemand::value value, const FieldPath& at, int depth);
    bool check_object(simdjson::ondemand::object object, const FieldPath& at, int depth);
    std::optional<simdjson::ondemand::json_type> type_of(simdjson::ondemand::value value);

    std::vector<ApiError> errors_;
    size_t left_out_ = 0;
    bool broken_ = false;
};

/// What is wrong with a text that simdjson refused, with line and column. Slow: 20 ms a megabyte.
ApiError syntax_error(std::string_view text, const char* otherwise);

}  // namespace ingest

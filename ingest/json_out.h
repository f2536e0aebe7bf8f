// Writing JSON by hand: events and answers are flat objects, and a document model per event would
// cost more than the rest.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace ingest {

/// Appends a JSON string with its quotes. What is not UTF-8 (a receiver's reply may be anything)
/// becomes U+FFFD, so the result always parses. No raw control character remains: one line stays
/// one line.
void append_json_string(std::string& out, std::string_view text);

/// One object, field by field, at the end of `out`.
class JsonObject {
  public:
    explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
    JsonObject& text(std::string_view name, std::string_view value);
    /// Leaves an empty value out.
    JsonObject& text_if(std::string_view name, std::string_view value) {
        return value.empty() ? *this : text(name, value);
    }
    template <std::integral T>
    JsonObject& number(std::string_view name, T value) {
        key(name);
        out_ += std::to_string(value);
        return *this;
    }
    JsonObject& number(std::string_view name, double value);
    JsonObject& flag(std::string_view name, bool value) {
        return raw(name, value ? "true" : "false");
    }
    /// `json` is a JSON value already.
    JsonObject& raw(std::string_view name, std::string_view json);
    /// Writes the name; the caller appends the value to the same string.
    void key(std::string_view name);
    void close() { out_ += '}'; }

  private:
    std::string& out_;
    bool first_ = true;
};

}  // namespace ingest

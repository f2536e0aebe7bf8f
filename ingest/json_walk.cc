#include "ingest/json_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace ingest {

namespace ondemand = simdjson::ondemand;

std::string FieldPath::text() const {
    std::string out = parent ? parent->text() : std::string();
    if (index >= 0) return out + fmt::format("[{}]", index);
    if (name.empty()) return out;
    if (!out.empty()) out += '.';
    return out.append(name.substr(0, JsonWalk::shown_octets_max));
}

void JsonWalk::error(const FieldPath& at, std::string_view code, std::string message,
                     std::string hint) {
    if (errors_.size() >= errors_max) {
        ++left_out_;
        return;
    }
    errors_.push_back({std::string(code), std::move(message), at.text(), std::move(hint)});
}

void JsonWalk::wrong_type(const FieldPath& at, std::string_view wanted) {
    error(at, "field.type", fmt::format("must be {}", wanted));
}

void JsonWalk::unknown(const FieldPath& at, std::span<const std::string_view> known) {
    error(at, "field.unknown", "there is no such field",
          fmt::format("known are: {}", fmt::join(known, ", ")));
}

void JsonWalk::duplicate(const FieldPath& at) {
    error(at, "field.duplicate", "stands here twice",
          "readers disagree which one counts: keep one");
}

std::vector<ApiError> JsonWalk::take_errors() {
    if (left_out_ > 0) {
        errors_.push_back(
            {"request.more_errors", fmt::format("and {} more errors", left_out_), {}, {}});
    }
    return std::exchange(errors_, {});
}

void JsonWalk::reset() {
    errors_.clear();
    left_out_ = 0;
    broken_ = false;
}

std::optional<ondemand::json_type> JsonWalk::type_of(ondemand::value value) {
    ondemand::json_type type{};
    if (!value.type().get(type)) return type;
    break_off();
    return std::nullopt;
}

std::optional<std::string_view> JsonWalk::text(ondemand::value value, const FieldPath& at) {
    const auto type = type_of(value);
    if (!type) return std::nullopt;
    if (*type != ondemand::json_type::string) {
        wrong_type(at, "a string");
        return std::nullopt;
    }
    std::string_view out;
    if (!value.get_string().get(out)) return out;
    break_off();
    return std::nullopt;
}

std::optional<bool> JsonWalk::flag(ondemand::value value, const FieldPath& at) {
    const auto type = type_of(value);
    if (!type) return std::nullopt;
    if (*type != ondemand::json_type::boolean) {
        wrong_type(at, "true or false");
        return std::nullopt;
    }
    bool out = false;
    if (!value.get_bool().get(out)) return out;
    break_off();
    return std::nullopt;
}

std::optional<ondemand::object> JsonWalk::object(ondemand::value value, const FieldPath& at) {
    const auto type = type_of(value);
    if (!type) return std::nullopt;
    if (*type != ondemand::json_type::object) {
        wrong_type(at, "an object");
        return std::nullopt;
    }
    ondemand::object out;
    if (!value.get_object().get(out)) return out;
    break_off();
    return std::nullopt;
}

std::optional<ondemand::array> JsonWalk::array(ondemand::value value, const FieldPath& at) {
    const auto type = type_of(value);
    if (!type) return std::nullopt;
    if (*type != ondemand::json_type::array) {
        wrong_type(at, "an array");
        return std::nullopt;
    }
    ondemand::array out;
    if (!value.get_array().get(out)) return out;
    break_off();
    return std::nullopt;
}

namespace {
std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::string_view(" \t\r\n").contains(text.back()))
        text.remove_suffix(1);
    return text;
}
}  // namespace

std::optional<std::string_view> JsonWalk::scalar(ondemand::value value, const FieldPath& at) {
    const auto type = type_of(value);
    if (!type) return std::nullopt;
    switch (*type) {
        case ondemand::json_type::string:
            return text(value, at);
        case ondemand::json_type::number: {
            const std::string_view written = trimmed(value.raw_json_token());
            ondemand::number number;
            if (!value.get_number().get(number)) return written;
            break;
        }
        case ondemand::json_type::boolean: {
            bool flag = false;
            if (!value.get_bool().get(flag)) return flag ? "true" : "false";
            break;
        }
        case ondemand::json_type::null: {
            bool null = false;
            if (!value.is_null().get(null) && null) return "";
            break;
        }
        default:
            wrong_type(at, "a string, a number, true, false or null");
            return std::nullopt;
    }
    break_off();
    return std::nullopt;
}

bool JsonWalk::check_object(ondemand::object object, const FieldPath& at, int depth) {
    every_member(object, [&](std::string_view, ondemand::value value) {
        if (!check(value, at, depth + 1)) break_off();
    });
    return !broken_;
}

bool JsonWalk::check(ondemand::value value, const FieldPath& at, int depth) {
    const auto type = type_of(value);
    if (!type) return false;
    if (depth > depth_max) {
        error(at, "field.too_deep", fmt::format("nested deeper than {} levels", depth_max));
        return true;  // skipped
    }
    if (*type == ondemand::json_type::object) {
        ondemand::object object;
        return !value.get_object().get(object) && check_object(object, at, depth);
    }
    if (*type == ondemand::json_type::array) {
        ondemand::array array;
        if (value.get_array().get(array)) return false;
        for (auto item : array) {
            ondemand::value element;
            if (std::move(item).get(element) || !check(element, at, depth + 1)) return false;
        }
        return true;
    }
    return scalar(value, at).has_value();
}

std::optional<std::string_view> JsonWalk::verbatim(ondemand::value value, const FieldPath& at) {
    auto members = object(value, at);
    if (!members) return std::nullopt;
    // raw_json() only counts brackets: the walk behind it is what makes sure that readers of our
    // events can parse it.
    std::string_view raw;
    bool empty = false;
    if (members->raw_json().get(raw) || members->reset().get(empty) ||
        !check_object(*members, at, 2)) {
        break_off();
        return std::nullopt;
    }
    return trimmed(raw);
}

namespace {

/// Keeps the first error and its place, and builds nothing.
class SyntaxFinder : public nlohmann::json_sax<nlohmann::json> {
  public:
    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool start_object(size_t) override { return true; }
    bool key(string_t&) override { return true; }
    bool end_object() override { return true; }
    bool start_array(size_t) override { return true; }
    bool end_array() override { return true; }
    bool parse_error(size_t position, const std::string&,
                     const nlohmann::detail::exception& error) override {
        octet = position;
        message = error.what();
        return false;
    }
    size_t octet = 0;  // from 1; 0: none found
    std::string message;
};

}  // namespace

ApiError syntax_error(std::string_view text, const char* otherwise) {
    SyntaxFinder finder;
    nlohmann::json::sax_parse(text.begin(), text.end(), &finder);
    ApiError out{"json.syntax", otherwise, {}, "the body must be one JSON document in UTF-8"};
    const size_t end = std::min(finder.octet > 0 ? finder.octet - 1 : 0, text.size());
    const std::string_view before = text.substr(0, end);
    out.line = 1 + static_cast<uint64_t>(std::ranges::count(before, '\n'));
    out.column = 1 + before.size() -
                 (before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1);
    if (!finder.message.empty()) {
        // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error …": keep
        // what follows.
        const size_t colon = finder.message.find(": ");
        out.message = finder.message.substr(colon == std::string::npos ? 0 : colon + 2, 300);
    }
    return out;
}

}  // namespace ingest

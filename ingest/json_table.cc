#include "ingest/json_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "ingest/terminal.h"

namespace ingest {

namespace {
using json = nlohmann::ordered_json;
constexpr int depth_max = 6;

std::string words(std::string_view name) {
    std::string text = printable(name);
    for (const std::string_view unit : {"_bytes", "_seconds", "_ms"}) {
        if (text.ends_with(unit)) text.resize(text.size() - unit.size());
    }
    std::ranges::replace(text, '_', ' ');
    return text;
}

std::string number_text(std::string_view name, const json& value) {
    using namespace std::chrono;
    const double n = value.get<double>();
    if (name.ends_with("_bytes")) return short_size(n);
    // A duration that a clock cannot hold is shown as the number that it is.
    const bool sane = std::isfinite(n) && n >= 0 && n < 1e12;
    if (sane && name.ends_with("_seconds"))
        return short_duration(milliseconds(std::llround(n * 1000)));
    if (sane && name.ends_with("_ms")) return short_duration(milliseconds(std::llround(n)));
    if (value.is_number_unsigned()) return grouped(value.get<uint64_t>());
    return value.is_number_integer() ? std::to_string(value.get<int64_t>())
                                     : fmt::format("{:.2f}", n);
}

std::string cell(std::string_view name, const json& value) {
    if (value.is_string()) return printable(value.get<std::string>());
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (value.is_number()) return number_text(name, value);
    if (value.is_null()) return "-";
    return printable(value.dump());
}

bool is_list_of_objects(const json& value) {
    return value.is_array() && !value.empty() &&
           std::ranges::all_of(value, [](const json& e) { return e.is_object(); });
}
bool is_object_of_objects(const json& value) {
    return value.is_object() && !value.empty() &&
           std::ranges::all_of(value, [](const json& e) { return e.is_object(); });
}

/// Rows of objects; `names` is the first column, or empty when they have none.
std::string rows_of(const std::vector<std::string>& names, const std::vector<const json*>& objects,
                    const std::string& indent) {
    std::vector<std::string> columns;
    for (const json* object : objects) {
        for (const auto& [key, value] : object->items()) {
            if (std::ranges::find(columns, key) == columns.end()) columns.push_back(key);
        }
    }
    Table table;
    std::vector<std::string> head;
    if (!names.empty()) head.emplace_back();
    for (const auto& column : columns) head.push_back(words(column));
    table.add(std::move(head));
    for (size_t i = 0; i < objects.size(); ++i) {
        std::vector<std::string> row;
        if (!names.empty()) row.push_back(printable(names[i]));
        for (const auto& column : columns) {
            row.push_back(objects[i]->contains(column) ? cell(column, (*objects[i])[column]) : "");
        }
        table.add(std::move(row));
    }
    return table.text(indent);
}

std::string section(const json& object, int depth);

std::string value_section(const json& value, int depth) {
    const std::string indent(2 * static_cast<size_t>(depth), ' ');
    std::vector<std::string> names;
    std::vector<const json*> objects;
    if (is_object_of_objects(value)) {
        for (const auto& [key, entry] : value.items()) {
            names.push_back(key);
            objects.push_back(&entry);
        }
        return rows_of(names, objects, indent);
    }
    if (is_list_of_objects(value)) {
        for (const json& entry : value) objects.push_back(&entry);
        return rows_of(names, objects, indent);
    }
    return section(value, depth);
}

std::string section(const json& object, int depth) {
    const std::string indent(2 * static_cast<size_t>(depth), ' ');
    Table plain;
    std::string sections;
    for (const auto& [key, value] : object.items()) {
        const bool nested = (value.is_object() && !value.empty()) || is_list_of_objects(value);
        if (nested && depth < depth_max) {
            sections += indent + words(key) + '\n' + value_section(value, depth + 1);
        } else {
            plain.add({words(key), cell(key, value)});
        }
    }
    return plain.text(indent) + sections;
}
}  // namespace

std::string as_table(const json& object) {
    return section(object, 0);
}

}  // namespace ingest

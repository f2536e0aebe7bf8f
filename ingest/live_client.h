// What the live commands share: asking the daemon for JSON, and its numbers in few characters.
#pragma once

#include <expected>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "ingest/commands.h"

namespace ingest {

/// A JSON object from the daemon. The error is a sentence for people.
std::expected<nlohmann::ordered_json, std::string> ask(const std::string& server,
                                                       const std::string& target);

using LiveTaker = std::function<void(std::string_view event, std::string_view json)>;
/// What GET /v1/live tells, as it comes; `count` 0: until the stream ends. `take` gets an event's
/// name ("history"; empty: a snapshot) and the JSON's text.
std::expected<void, std::string> follow_live(const std::string& server, uint64_t count,
                                             const LiveTaker& take);

std::string short_rate(double per_second);      // "0", "3.4", "12,345"
std::string short_seconds(double seconds);      // "42 ms", "3.1 s", "12 min", "4 h", "3 d"
std::string bar(double share, size_t columns);  // "######...."
/// The text in exactly so many columns, cut or padded; one per code point.
std::string fitted(std::string_view text, size_t columns);
std::string fitted_right(std::string_view text, size_t columns);

// Members that may be absent.
double number_of(const nlohmann::ordered_json& object, std::string_view name);
uint64_t count_of(const nlohmann::ordered_json& object, std::string_view name);
std::string text_of(const nlohmann::ordered_json& object, std::string_view name);  // printable
const nlohmann::ordered_json& member_of(const nlohmann::ordered_json& object,
                                        std::string_view name);  // an empty object when absent

/// For people: "a host said that we are too fast"; the word itself when it is not known.
std::string limit_words(std::string_view limit);
/// The same for what holds a site: "provider google: 20 connections in all".
std::string held_words(const nlohmann::ordered_json& site);
/// How many shards send to a site of /v1/sites, and why, where it was or is not one alone.
std::string shards_words(const nlohmann::ordered_json& site);

}  // namespace ingest

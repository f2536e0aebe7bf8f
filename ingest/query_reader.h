// QueryReader: the parameters of a request's query, read one by one. Whatever is wrong, and
// whatever nobody asked for, comes in one refusal.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ingest/api_error.h"

namespace ingest {

class QueryReader {
  public:
    explicit QueryReader(const HttpRequest& request) : request_(request) {}

    std::string text(std::string_view name);  // empty when it is absent
    uint64_t count(std::string_view name, uint64_t fallback, uint64_t most);
    bool flag(std::string_view name);
    /// One of `words`; the first when it is absent.
    std::string_view word(std::string_view name, std::vector<std::string_view> words);
    /// For what the caller finds wrong with a value.
    void wrong(std::string_view name, std::string message);
    /// After all have been read. nullopt: nothing is wrong.
    std::optional<HttpAnswer> refusal();

  private:
    std::optional<std::string_view> value(std::string_view name);

    const HttpRequest& request_;
    std::vector<std::string> known_;
    BadRequest bad_;
};

}  // namespace ingest

// How the API says no: one form for every refusal, complete, with the place and how to mend it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/http_connection.h"

namespace ingest {

struct ApiError {
    std::string code, message, field, hint;
    uint64_t line = 0, column = 0;  // of a syntax error, from 1, in octets; 0: none
};
/// `{"code":…,"message":…}`, what is empty left out.
void append_error(std::string& out, const ApiError& error);

/// A request that is refused as a whole: 400 with a position, or 422 with every wrong field.
struct BadRequest {
    int status = 422;
    std::vector<ApiError> errors;
};

/// `{"errors":[…]}`.
HttpAnswer to_answer(const BadRequest& bad);
HttpAnswer to_answer(int status, ApiError error);
HttpAnswer to_answer(const BodyCut& cut);

}  // namespace ingest

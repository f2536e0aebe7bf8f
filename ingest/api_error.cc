#include "ingest/api_error.h"

#include <utility>

#include "ingest/json_out.h"

namespace ingest {

void append_error(std::string& out, const ApiError& error) {
    JsonObject object(out);
    object.text("code", error.code).text("message", error.message).text_if("field", error.field);
    object.text_if("hint", error.hint);
    if (error.line > 0) object.number("line", error.line).number("column", error.column);
    object.close();
}

HttpAnswer to_answer(const BadRequest& bad) {
    std::string body = "{\"errors\":[";
    for (size_t i = 0; i < bad.errors.size(); ++i) {
        if (i > 0) body += ',';
        append_error(body, bad.errors[i]);
    }
    return {.status = bad.status, .body = std::move(body) + "]}\n"};
}

HttpAnswer to_answer(int status, ApiError error) {
    return to_answer(BadRequest{status, {std::move(error)}});
}

HttpAnswer to_answer(const BodyCut& cut) {
    return to_answer(cut.status, {cut.code, cut.message, {}, cut.hint});
}

}  // namespace ingest

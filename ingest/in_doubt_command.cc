// sluice in-doubt: what is held because nobody knows whether the receiver has it, and what becomes
// of it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/http_client.h"

namespace ingest {

namespace {

int list(const InDoubtOptions& options) {
    const auto reply =
        call({.server = options.client.server, .target = "/v1/in-doubt?limit=10000"});
    if (!reply) return failed("in-doubt", reply.error());
    if (!reply->ok()) return failed("in-doubt", readable_errors(reply->status, reply->body));
    if (options.client.output == Output::json) {
        fmt::print("{}", reply->body);
        return 0;
    }
    const auto document = nlohmann::json::parse(reply->body, nullptr, false);
    if (!document.is_object()) return failed("in-doubt", "the answer is not a JSON object");
    for (const auto& one : document["held"]) {
        fmt::print("{}  {}  {}  since {}, expires {}\n", one.value("delivery", ""),
                   one.value("class", ""), one.value("to", ""), one.value("since", ""),
                   one.value("expires", ""));
    }
    fmt::print("{} held{}\n", document["held"].size(),
               document.value("more", false) ? ", and more" : "");
    return 0;
}

int settle(const InDoubtOptions& options) {
    std::string target = fmt::format(
        "/v1/in-doubt/{}", options.what == InDoubtOptions::What::retry ? "retry" : "delivered");
    if (options.all) target += "?all=true";
    for (size_t i = 0; i < options.deliveries.size(); ++i) {
        target += i == 0 ? "?delivery=" : "&delivery=";
        target += percent_encoded(options.deliveries[i]);
    }
    const auto reply = call({.server = options.client.server, .method = "POST", .target = target});
    if (!reply) return failed("in-doubt", reply.error());
    if (!reply->ok()) return failed("in-doubt", readable_errors(reply->status, reply->body));
    const auto document = nlohmann::json::parse(reply->body, nullptr, false);
    if (!document.is_object()) return failed("in-doubt", "the answer is not a JSON object");
    if (options.client.output == Output::json)
        fmt::print("{}", reply->body);
    else
        fmt::print("{} settled, {} held no more, {} busy (say it again), {} failed{}\n",
                   document.value("settled", 0), document.value("gone", 0),
                   document.value("busy", 0), document.value("failed", 0),
                   document.value("more", false) ? "; there are more, say it again" : "");
    return document.value("busy", 0) + document.value("failed", 0) == 0 ? 0 : 1;
}

/// How many `--all` would settle.
int warn_of_all(const InDoubtOptions& options) {
    const auto reply =
        call({.server = options.client.server, .target = "/v1/in-doubt?limit=10000"});
    if (!reply) return failed("in-doubt", reply.error());
    if (!reply->ok()) return failed("in-doubt", readable_errors(reply->status, reply->body));
    const auto document = nlohmann::json::parse(reply->body, nullptr, false);
    const size_t held = document.is_object() ? document["held"].size() : 0;
    return failed("in-doubt", fmt::format("this would settle {}{} deliveries; say --yes to do it",
                                          held, document.value("more", false) ? " or more" : ""));
}

}  // namespace

int in_doubt(const InDoubtOptions& options) {
    if (options.what == InDoubtOptions::What::list) return list(options);
    if (options.all && !options.yes) return warn_of_all(options);
    return settle(options);
}

}  // namespace ingest

// [[webhook]]: where events are pushed to.
#pragma once

#include <chrono>
#include <string>

#include "ingest/event_filter.h"

namespace ingest {

struct Webhook {
    std::string name;
    std::string url;
    std::string secret_file;  // what signs each request; empty: none does
    std::string ca_file;      // authorities, PEM; empty: the system's
    EventFilter filter;
    uint64_t events_max = 500;                  // of one request
    std::chrono::milliseconds timeout{30'000};  // of a whole request
};

}  // namespace ingest

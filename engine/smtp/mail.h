// Mail: what one transaction carries.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace engine {

/// `content` has CRLF line ends, no dot-stuffing, and ends in CRLF (rendering sees to it).
struct Mail {
    std::string sender;                   // empty: <>
    std::vector<std::string> recipients;  // at least one; validated at ingest: no CR, LF, NUL
    std::shared_ptr<const std::string> content;
    bool eight_bit = false;       // content has octets above 127
    bool utf8_addresses = false;  // an address has octets above 127: needs SMTPUTF8
    bool lock_step = false;       // one command at a time even where PIPELINING is offered
};

}  // namespace engine

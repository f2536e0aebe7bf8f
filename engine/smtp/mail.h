// Mail: what one transaction carries.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "storage/types.h"

namespace engine {

/// One RCPT of a transaction.
struct MailRecipient {
    std::string address;  // validated at ingest: no CR, LF, NUL
    uint8_t notify = 0;   // bits of storage::notify, passed on where DSN is offered (RFC 3461)
    std::string orcpt;    // as "rfc822;ann@x.test"; empty: none
};

/// `content` has CRLF line ends, no dot-stuffing, and ends in CRLF (rendering sees to it).
struct Mail {
    std::string sender;                     // empty: <>
    std::vector<MailRecipient> recipients;  // at least one
    std::shared_ptr<const std::string> content;
    bool eight_bit = false;       // content has octets above 127
    bool utf8_addresses = false;  // an address has octets above 127: needs SMTPUTF8
    bool utf8_headers = false;    // a header field has them raw: needs it, too
    std::string envid;            // RFC 3461; empty: none
    storage::DsnReturn ret = storage::DsnReturn::unstated;
    bool require_tls = false;  // RFC 8689: every hop must offer REQUIRETLS
    /// One command at a time even where PIPELINING is offered: the host lost its way in a group
    /// with it, or so it seemed. When it takes the mail now, it gets no groups any more.
    bool lock_step = false;
};

}  // namespace engine

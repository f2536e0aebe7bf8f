// DKIM signatures (RFC 6376, RFC 8463): which fields they cover, and the DKIM-Signature fields
// themselves.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/message/dkim_key.h"
#include "engine/message/sha256.h"

namespace engine {

/// In whose name a mail is signed: d=, s= and the key behind them.
struct DkimIdentity {
    std::string domain, selector;  // lower case, A-labels
    std::shared_ptr<const DkimKey> key;
};

/// The DKIM-Signature fields for a mail with this header (its fields without the empty line) and
/// body, one per identity, in their order; to be put in front of the header. `time` is t=.
std::string dkim_signatures(std::string_view header, const Sha256& body_hash,
                            std::span<const DkimIdentity> identities,
                            std::chrono::sys_seconds time);

/// Length of a message's header: its fields, without the empty line.
size_t header_size(std::string_view message);

}  // namespace engine

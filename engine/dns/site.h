// Sites: domains whose MX hosts are the same set share one, because receivers count by their own
// hosts.
#pragma once

#include <span>
#include <string>

namespace engine {

struct MxHost;

/// The stable name of a set of hosts, whatever their order and preferences: their names sorted and
/// joined by "+". A host on another port than the usual one is named with it. Names longer than 200
/// octets end in a digest of the whole.
std::string site_name(std::span<const MxHost> hosts, uint16_t usual_port);

}  // namespace engine

// PeerConnections: how many connections each peer has open, over all shards. The shard that accepts
// them has the only one.
#pragma once

#include <string>
#include <unordered_map>

namespace ingest {

class PeerConnections {
  public:
    static constexpr size_t per_peer_max = 100;  // of an address, or an IPv6 /64

    /// False: the peer has enough of them. `peer` is a peer_network().
    bool take(const std::string& peer) {
        size_t& open = open_[peer];
        if (open >= per_peer_max) return false;
        ++open;
        return true;
    }
    void release(const std::string& peer) {
        const auto entry = open_.find(peer);
        if (--entry->second == 0) open_.erase(entry);
    }
    size_t peers() const { return open_.size(); }

  private:
    std::unordered_map<std::string, size_t> open_;
};

}  // namespace ingest

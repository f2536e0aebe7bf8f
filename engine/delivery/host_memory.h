// HostMemory: what this shard's connections have learned of each MX host, so that the next one need
// not find out again. Bounded, and everything is forgotten after days: receivers are updated.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/smtp/host_traits.h"

namespace engine {

class HostMemory {
  public:
    static constexpr size_t hosts_max =
        20'000;  // the one that was asked for longest ago goes first

    explicit HostMemory(Clock& clock) : clock_(clock) {}

    /// The traits of a host, by name and port: the addresses behind a name share them. Sessions may
    /// hold them for longer than the memory does.
    std::shared_ptr<HostTraits> of(const std::string& host, uint16_t port);
    size_t size() const { return hosts_.size(); }

    /// What has been learned of a host, and of which port ("mx.x.test:25").
    struct Learned {
        std::string host;
        HostTraits traits;
    };
    /// What has been learned since the last call. A host that has shown nothing is not in it.
    std::vector<Learned> changes();
    /// What an earlier start had learned. A host that this one has met already keeps what it has.
    void recall(const Learned& learned);

  private:
    struct Entry {
        std::shared_ptr<HostTraits> traits;
        HostTraits told;  // by changes() or to recall()
        std::list<const std::string*>::iterator place;
    };
    Entry& entry(const std::string& key);

    Clock& clock_;
    std::unordered_map<std::string, Entry> hosts_;
    std::list<const std::string*> order_;  // their keys, the last one asked for in front
};

}  // namespace engine

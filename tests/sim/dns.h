// Dns: a zone that all shards ask, with answers that take their time, fail for a while, and change.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/dns/dns_client.h"
#include "engine/reactor/reactor.h"
#include "tests/sim/world.h"

namespace sim {

class Zone {
  public:
    using Type = engine::DnsClient::Type;

    void mx(const std::string& domain, std::vector<std::string> hosts, uint32_t ttl);
    void null_mx(const std::string& domain, uint32_t ttl);
    void address(const std::string& host, const std::string& ip, uint32_t ttl);
    /// NXDOMAIN is what every name answers that is not here.

    engine::DnsAnswer answer(const std::string& name, Type type) const;
    double failing = 0;  // of the answers: SERVFAIL
    double slow = 0;     // of the answers: seconds late

  private:
    std::map<std::pair<std::string, Type>, engine::DnsAnswer> records_;
};

class Dns final : public engine::DnsClient {
  public:
    Dns(World& world, engine::Reactor& reactor, const Zone& zone)
        : world_(world), reactor_(reactor), zone_(zone) {}
    engine::Task<engine::DnsAnswer> query(std::string name, Type type) override;
    engine::Task<> stop() override;

  private:
    World& world_;
    engine::Reactor& reactor_;
    const Zone& zone_;
    std::set<engine::Op*> asking_;
    bool stopping_ = false;
};

}  // namespace sim

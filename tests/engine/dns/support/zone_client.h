// A DnsClient that answers from a table, in a later turn, and counts what it was asked.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/dns/dns_client.h"
#include "engine/reactor/reactor.h"

namespace engine {

class ZoneClient final : public DnsClient {
  public:
    explicit ZoneClient(Reactor& reactor) : reactor_(reactor) {}

    void set(const std::string& name, Type type, DnsAnswer answer) {
        zone_[{name, type}] = std::move(answer);
    }
    void mx(const std::string& name, std::vector<DnsAnswer::Mx> records, uint32_t ttl = 300) {
        set(name, Type::mx,
            {.status = DnsAnswer::Status::ok, .mx = std::move(records), .ttl_seconds = ttl});
    }
    void address(const std::string& name, const std::vector<std::string>& ips, uint32_t ttl = 300);
    void broken(const std::string& name, Type type) {
        set(name, type,
            {.status = DnsAnswer::Status::failed, .error = "SERVFAIL from 127.0.0.1:53"});
    }

    Task<DnsAnswer> query(std::string name, Type type) override;
    Task<> stop() override { co_return; }

    size_t asked(const std::string& name, Type type) const {
        const auto found = asked_.find({name, type});
        return found == asked_.end() ? 0 : found->second;
    }
    size_t asked() const { return asked_total_; }

  private:
    using Question = std::pair<std::string, Type>;
    Reactor& reactor_;
    std::map<Question, DnsAnswer> zone_;
    std::map<Question, size_t> asked_;
    size_t asked_total_ = 0;
};

}  // namespace engine

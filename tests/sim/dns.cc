#include "tests/sim/dns.h"

#include "engine/reactor/yield.h"

namespace sim {

using engine::DnsAnswer;

void Zone::mx(const std::string& domain, std::vector<std::string> hosts, uint32_t ttl) {
    DnsAnswer answer{.status = DnsAnswer::Status::ok, .ttl_seconds = ttl};
    for (size_t i = 0; i < hosts.size(); ++i)
        answer.mx.push_back({static_cast<uint16_t>(10 * (i / 2)), std::move(hosts[i])});
    records_[{domain, Type::mx}] = std::move(answer);
}

void Zone::null_mx(const std::string& domain, uint32_t ttl) {
    records_[{domain, Type::mx}] = {
        .status = DnsAnswer::Status::ok, .mx = {{0, ""}}, .ttl_seconds = ttl};
}

void Zone::address(const std::string& host, const std::string& ip, uint32_t ttl) {
    records_[{host, Type::a}] = {.status = DnsAnswer::Status::ok,
                                 .addresses = {*engine::SocketAddress::from_ip(ip, 0)},
                                 .ttl_seconds = ttl};
}

DnsAnswer Zone::answer(const std::string& name, Type type) const {
    if (const auto found = records_.find({name, type}); found != records_.end())
        return found->second;
    constexpr uint32_t negative_ttl = 30;
    for (const auto& [key, record] : records_)
        if (key.first == name)
            return {.status = DnsAnswer::Status::no_data, .ttl_seconds = negative_ttl};
    return {.status = DnsAnswer::Status::no_name, .ttl_seconds = negative_ttl};
}

engine::Task<DnsAnswer> Dns::query(std::string name, Type type) {
    const Nanoseconds takes = world_.strikes(Fault::dns_slow, zone_.slow)
                                  ? world_.some_time(1s, 20s)
                                  : world_.some_time(100us, 50ms);
    if (!stopping_) {
        engine::Op answer{.kind = engine::Op::Kind::sleep, .deadline = reactor_.now() + takes};
        asking_.insert(&answer);
        co_await engine::perform(reactor_, answer);
        asking_.erase(&answer);
    }
    if (stopping_)
        co_return DnsAnswer{.status = DnsAnswer::Status::failed, .error = "the engine is stopping"};
    if (world_.strikes(Fault::dns_failed, zone_.failing))
        co_return DnsAnswer{.status = DnsAnswer::Status::failed, .error = "SERVFAIL"};
    co_return zone_.answer(name, type);
}

engine::Task<> Dns::stop() {
    stopping_ = true;
    for (engine::Op* answer : asking_) reactor_.cancel(*answer);
    while (!asking_.empty()) co_await engine::yield(reactor_);
}

}  // namespace sim

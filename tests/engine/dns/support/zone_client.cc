#include "tests/engine/dns/support/zone_client.h"

namespace engine {

namespace {
struct LaterTurn {
    Reactor& reactor;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { reactor.post(handle); }
    void await_resume() const noexcept {}
};
}  // namespace

void ZoneClient::address(const std::string& name, const std::vector<std::string>& ips,
                         uint32_t ttl) {
    for (const Type type : {Type::a, Type::aaaa}) {
        DnsAnswer answer{.status = DnsAnswer::Status::no_data, .ttl_seconds = ttl};
        for (const std::string& ip : ips) {
            const auto parsed = SocketAddress::from_ip(ip, 0);
            if (parsed && (parsed->family() == AF_INET) == (type == Type::a))
                answer.addresses.push_back(*parsed);
        }
        if (!answer.addresses.empty()) answer.status = DnsAnswer::Status::ok;
        set(name, type, std::move(answer));
    }
}

Task<DnsAnswer> ZoneClient::query(std::string name, Type type) {
    ++asked_[{name, type}];
    ++asked_total_;
    co_await LaterTurn{reactor_};
    const auto found = zone_.find({name, type});
    if (found != zone_.end()) co_return found->second;
    for (const auto& [question, answer] : zone_) {
        if (question.first == name)
            co_return DnsAnswer{.status = DnsAnswer::Status::no_data, .ttl_seconds = 60};
    }
    co_return DnsAnswer{.status = DnsAnswer::Status::no_name, .ttl_seconds = 60};
}

}  // namespace engine

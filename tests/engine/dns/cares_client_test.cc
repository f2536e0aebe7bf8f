#include "engine/dns/cares_client.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/dns/resolver.h"
#include "engine/reactor/uring_reactor.h"
#include "tests/engine/dns/support/dnsmasq.h"

namespace engine {

namespace {

using Status = DnsAnswer::Status;
using Type = DnsClient::Type;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

Task<> ask(DnsClient& client, std::string name, Type type, std::vector<DnsAnswer>& answers) {
    answers.push_back(co_await client.query(std::move(name), type));
}

/// A UDP socket that takes questions and never answers.
class SilentServer {
  public:
    SilentServer() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        const auto any = SocketAddress::from_ip("127.0.0.1", 0).value();
        EXPECT_EQ(bind(fd_, any.raw(), any.size), 0);
        address_.size = sizeof address_.storage;
        EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address_.storage), &address_.size),
                  0);
    }
    ~SilentServer() { close(fd_); }
    std::string address() const { return address_.to_string(); }

  private:
    int fd_;
    SocketAddress address_;
};

class CaresClientTest : public testing::Test {
  protected:
    std::unique_ptr<UringReactor> reactor = UringReactor::create().value();
    std::unique_ptr<CaresClient> client;
    Scope scope;
    std::vector<DnsAnswer> answers;

    void use(CaresOptions options) {
        auto made = CaresClient::create(*reactor, std::move(options));
        ASSERT_TRUE(made) << made.error().what;
        client = std::move(*made);
    }
    void run() {
        const Instant deadline = reactor->now() + 30s;
        while (scope.running() > 0 && reactor->now() < deadline) reactor->turn(deadline);
        ASSERT_EQ(scope.running(), 0u) << "a question has not ended within 30 s";
    }
    DnsAnswer answer(const std::string& name, Type type) {
        answers.clear();
        scope.spawn(ask(*client, name, type, answers));
        run();
        return answers.at(0);
    }
    void TearDown() override {
        if (client) scope.spawn(client->stop());
        run();
    }
};

std::vector<std::string> ips(const DnsAnswer& answer) {
    std::vector<std::string> found;
    for (const SocketAddress& address : answer.addresses) found.push_back(address.ip());
    return found;
}

}  // namespace

TEST_F(CaresClientTest, GetsMailHostsAndAddressesFromARealServer) {
    const Dnsmasq server(
        {"--local=/test/", "--mx-host=x.test,mx2.x.test,20", "--mx-host=x.test,MX1.x.test,10",
         "--host-record=mx1.x.test,127.60.0.1,fd25::1,77", "--host-record=only4.test,127.60.0.2",
         "--local-ttl=33", "--dns-rr=null.test,15,000000", "--cname=alias.test,mx1.x.test"});
    use({.servers = {server.address()}});

    const DnsAnswer mx = answer("x.test", Type::mx);
    EXPECT_EQ(mx.status, Status::ok) << mx.error;
    EXPECT_THAT(mx.mx, UnorderedElementsAre(DnsAnswer::Mx{20, "mx2.x.test"},
                                            DnsAnswer::Mx{10, "mx1.x.test"}));
    EXPECT_EQ(mx.ttl_seconds, 33u);

    EXPECT_THAT(ips(answer("mx1.x.test", Type::a)), ElementsAre("127.60.0.1"));
    EXPECT_EQ(answers[0].ttl_seconds, 77u);
    EXPECT_THAT(ips(answer("mx1.x.test", Type::aaaa)), ElementsAre("fd25::1"));
    EXPECT_THAT(ips(answer("alias.test", Type::a)), ElementsAre("127.60.0.1"));
    EXPECT_EQ(answer("only4.test", Type::aaaa).status, Status::no_data);
    EXPECT_EQ(answer("only4.test", Type::mx).status, Status::no_data);
    EXPECT_THAT(answer("null.test", Type::mx).mx, ElementsAre(DnsAnswer::Mx{0, ""}));
    EXPECT_EQ(answer("nowhere.test", Type::mx).status, Status::no_name);
    const DnsAnswer refused = answer("outside.example", Type::mx);
    EXPECT_EQ(refused.status, Status::failed);
    EXPECT_THAT(refused.error, HasSubstr(server.address()));
}

TEST_F(CaresClientTest, FetchesAnAnswerThatIsTooLongForUdpOverTcp) {
    std::vector<std::string> records = {"--local=/test/"};
    for (int i = 0; i < 60; ++i) {
        records.push_back("--mx-host=x.test,a-rather-long-name-of-a-mail-host-" +
                          std::to_string(i) + ".x.test,10");
    }
    const Dnsmasq server(records);
    use({.servers = {server.address()}});
    EXPECT_EQ(answer("x.test", Type::mx).mx.size(), 60u) << answers[0].error;
}

TEST_F(CaresClientTest, AnswersAThousandQuestionsAtOnceWithinItsLimit) {
    const Dnsmasq server({"--local=/test/", "--address=/many.test/127.60.0.9"});
    use({.servers = {server.address()}, .in_flight_max = 16});
    for (int i = 0; i < 1000; ++i)
        scope.spawn(ask(*client, "d" + std::to_string(i) + ".many.test", Type::a, answers));
    EXPECT_EQ(client->in_flight(), 16u);
    EXPECT_EQ(client->waiting(), 984u);
    run();
    ASSERT_EQ(answers.size(), 1000u);
    for (const DnsAnswer& one : answers) EXPECT_EQ(one.status, Status::ok) << one.error;
    EXPECT_EQ(client->in_flight(), 0u);
}

TEST_F(CaresClientTest, FailsAtOnceWhenTooManyWait) {
    const SilentServer server;
    use({.servers = {server.address()}, .in_flight_max = 1, .waiting_max = 1});
    for (int i = 0; i < 3; ++i) scope.spawn(ask(*client, "x.test", Type::mx, answers));
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_THAT(answers[0].error, HasSubstr("1 DNS questions wait already"));
}

TEST_F(CaresClientTest, TimesOutOnASilentServerAfterItsTries) {
    const SilentServer server;
    use({.servers = {server.address()}, .timeout = 30ms, .tries = 2});
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(answer("x.test", Type::mx).status, Status::failed);
    EXPECT_THAT(answers[0].error, HasSubstr("Timeout"));
    EXPECT_GE(std::chrono::steady_clock::now() - begin,
              80ms);  // 30 and 60, less a tick of c-ares' clock
}

TEST_F(CaresClientTest, TurnsToTheNextServerWhenOneIsDead) {
    const Dnsmasq alive({"--local=/test/", "--address=/x.test/127.60.0.9"});
    Dnsmasq dead({});
    dead.stop();
    use({.servers = {dead.address(), alive.address()}, .timeout = 100ms});
    EXPECT_EQ(answer("x.test", Type::a).status, Status::ok) << answers[0].error;
}

TEST_F(CaresClientTest, EndsEveryQuestionWhenItIsStopped) {
    const SilentServer server;
    use({.servers = {server.address()}, .in_flight_max = 10});
    for (int i = 0; i < 100; ++i)
        scope.spawn(ask(*client, "d" + std::to_string(i) + ".test", Type::a, answers));
    scope.spawn(client->stop());
    run();
    ASSERT_EQ(answers.size(), 100u);
    for (const DnsAnswer& one : answers) {
        EXPECT_EQ(one.status, Status::failed);
        EXPECT_THAT(one.error, HasSubstr("stopping"));
    }
    EXPECT_EQ(answer("late.test", Type::a).status, Status::failed);
}

TEST_F(CaresClientTest, RefusesNamesThatAreNone) {
    const SilentServer server;
    use({.servers = {server.address()}});
    EXPECT_THAT(answer("a b.test", Type::mx).error, HasSubstr("'a b.test' is no host name"));
}

TEST_F(CaresClientTest, BelievesOnlyServersOfThisHost) {
    const std::vector<std::pair<std::vector<std::string>, bool>> cases = {
        {{"127.0.0.1:53"}, true},
        {{"127.1.2.3", "[::1]:53"}, true},
        {{"127.0.0.1", "192.0.2.1"}, false},
        {{"[2001:db8::1]:53"}, false}};
    for (const auto& [servers, local] : cases) {
        const auto made = CaresClient::create(*reactor, {.servers = servers});
        ASSERT_TRUE(made) << made.error().what;
        EXPECT_EQ((*made)->servers_are_local(), local) << servers.back();
    }
}

TEST_F(CaresClientTest, GetsTextsAndCertificateRecords) {
    const Dnsmasq server({"--local=/test/", "--txt-record=_mta-sts.x.test,v=STSv1; id=7;",
                          "--dns-rr=_25._tcp.mx.x.test,52,030101aabb", "--cname=alias.test,x.test",
                          "--host-record=x.test,127.60.0.1"});
    use({.servers = {server.address()}});
    EXPECT_THAT(answer("_mta-sts.x.test", Type::txt).texts, ElementsAre("v=STSv1; id=7;"));
    EXPECT_THAT(answer("_25._tcp.mx.x.test", Type::tlsa).tlsa,
                ElementsAre(TlsaRecord{3, 1, 1, "\xaa\xbb"}));
    EXPECT_EQ(answer("alias.test", Type::cname).canonical, "x.test") << answers[0].error;
    EXPECT_FALSE(answers[0].authenticated) << "dnsmasq does not validate here";
}

TEST_F(CaresClientTest, SaysWhichServerItCanNotUse) {
    const auto made = CaresClient::create(*reactor, {.servers = {"127.0.0.1:53", "dns.example"}});
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().what, HasSubstr("'dns.example' is no address of a DNS server"));
}

TEST_F(CaresClientTest, StartsWithTheSystemsServers) {
    use({});
}

}  // namespace engine

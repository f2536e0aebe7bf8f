#include "engine/dns/dns_message.h"

#include <gmock/gmock.h>

#include <random>

#include "tests/engine/dns/support/dns_packet.h"

namespace engine {

namespace {

using Status = DnsAnswer::Status;
using Type = DnsClient::Type;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint16_t a = 1, cname = 5, mx = 15, txt = 16, aaaa = 28, tlsa = 52;
constexpr uint16_t authenticated = 0x81a0;  // an answer with the AD bit

DnsAnswer parse_mx(const DnsPacket& packet, std::string_view name = "x.test") {
    return parse_dns_answer(packet.bytes(), name, Type::mx);
}

}  // namespace

TEST(DnsMessage, GivesMxRecordsAndTheSmallestTtl) {
    const auto answer = parse_mx(
        DnsPacket("x.test", mx).mx("@", 20, "MX2.x.test", 600).mx("x.test", 10, "mx1.x.test", 90));
    EXPECT_EQ(answer.status, Status::ok);
    EXPECT_THAT(answer.mx,
                ElementsAre(DnsAnswer::Mx{20, "mx2.x.test"}, DnsAnswer::Mx{10, "mx1.x.test"}));
    EXPECT_EQ(answer.ttl_seconds, 90u);
}

TEST(DnsMessage, GivesTheRootAsAnEmptyHost) {
    const auto answer = parse_mx(DnsPacket("x.test", mx).mx("@", 0, "", 60));
    EXPECT_THAT(answer.mx, ElementsAre(DnsAnswer::Mx{0, ""}));
}

TEST(DnsMessage, FollowsCompressionIntoTheQuestion) {
    DnsPacket packet("x.test", mx);
    packet.record("@", mx, 60,
                  DnsPacket::u16(5) +
                      "\x02"
                      "mx" +
                      DnsPacket::u16(DnsPacket::pointer_to_question));
    EXPECT_THAT(parse_mx(packet).mx, ElementsAre(DnsAnswer::Mx{5, "mx.x.test"}));
}

TEST(DnsMessage, GivesAddressesOfBothFamilies) {
    const auto v4 = parse_dns_answer(
        DnsPacket("h.test", a).record("@", a, 30, "\x7f\x3c\x01\x02").bytes(), "h.test", Type::a);
    ASSERT_EQ(v4.addresses.size(), 1u);
    EXPECT_EQ(v4.addresses[0].ip(), "127.60.1.2");
    const std::string octets("\xfd\x25\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
    const auto v6 = parse_dns_answer(
        DnsPacket("h.test", aaaa).record("@", aaaa, 30, octets).bytes(), "h.test", Type::aaaa);
    ASSERT_EQ(v6.addresses.size(), 1u);
    EXPECT_EQ(v6.addresses[0].ip(), "fd25::1");
}

TEST(DnsMessage, FollowsCnamesInAnyOrderAndTheirTtl) {
    DnsPacket packet("x.test", mx);
    packet.mx("real.test", 10, "mx.real.test", 600)
        .cname("alias.test", "real.test", 20)
        .cname("@", "alias.test", 300);
    const auto answer = parse_mx(packet);
    EXPECT_THAT(answer.mx, ElementsAre(DnsAnswer::Mx{10, "mx.real.test"}));
    EXPECT_EQ(answer.ttl_seconds, 20u);
}

TEST(DnsMessage, SaysThatACnameLoopLeadsNowhere) {
    const auto answer =
        parse_mx(DnsPacket("x.test", mx).cname("x.test", "y.test", 9).cname("y.test", "x.test", 9));
    EXPECT_EQ(answer.status, Status::failed);
    EXPECT_THAT(answer.error, HasSubstr("CNAMEs lead nowhere"));
}

TEST(DnsMessage, IgnoresRecordsOfOtherNamesAndAdditionalOnes) {
    DnsPacket packet("x.test", mx);
    packet.mx("evil.test", 0, "mx.evil.test", 60)
        .record("x.test", mx, 60, DnsPacket::u16(0) + DnsPacket::name("mx.evil.test"),
                DnsPacket::Section::additional);
    EXPECT_EQ(parse_mx(packet).status, Status::no_data);
}

TEST(DnsMessage, TakesTheNegativeTtlFromTheSoa) {
    EXPECT_EQ(parse_mx(DnsPacket("x.test", mx).soa("test", 40, 3600)).ttl_seconds, 40u);
    const auto gone = parse_mx(DnsPacket("x.test", mx, 0x8183).soa("test", 3600, 50));
    EXPECT_EQ(gone.status, Status::no_name);
    EXPECT_EQ(gone.ttl_seconds, 50u);
    EXPECT_EQ(parse_mx(DnsPacket("x.test", mx, 0x8183)).ttl_seconds, 0u);
}

TEST(DnsMessage, ReadsATtlWithTheHighestBitAsZero) {
    EXPECT_EQ(parse_mx(DnsPacket("x.test", mx).mx("@", 1, "m.test", 0x80000001)).ttl_seconds, 0u);
}

TEST(DnsMessage, EscapesWhatNoHostNameHas) {
    DnsPacket packet("x.test", mx);
    packet.record("@", mx, 60,
                  DnsPacket::u16(1) + std::string("\x04"
                                                  "a.b\n\x04test\0",
                                                  11));
    EXPECT_THAT(parse_mx(packet).mx, ElementsAre(DnsAnswer::Mx{1, "a\\046b\\010.test"}));
}

TEST(DnsMessage, GivesTlsaRecordsOctetByOctet) {
    const auto answer =
        parse_dns_answer(DnsPacket("_25._tcp.x.test", tlsa, authenticated)
                             .record("@", tlsa, 60, std::string("\x03\x01\x01\0\xff", 5))
                             .record("@", tlsa, 60, std::string("\xff\0\x02", 3))
                             .bytes(),
                         "_25._tcp.x.test", Type::tlsa);
    EXPECT_TRUE(answer.authenticated);
    EXPECT_THAT(answer.tlsa, ElementsAre(TlsaRecord{3, 1, 1, std::string("\0\xff", 2)},
                                         TlsaRecord{255, 0, 2, ""}));
}

TEST(DnsMessage, JoinsTheStringsOfATextRecord) {
    const auto answer =
        parse_dns_answer(DnsPacket("x.test", txt)
                             .record("@", txt, 60, std::string("\x03v=S\x00\x05TSv1;", 11))
                             .bytes(),
                         "x.test", Type::txt);
    EXPECT_THAT(answer.texts, ElementsAre("v=STSv1;"));
    EXPECT_FALSE(answer.authenticated);
}

TEST(DnsMessage, FailsOnRecordsOfTheWrongForm) {
    const auto answer_of = [](Type type, uint16_t code, const std::string& data) {
        return parse_dns_answer(DnsPacket("x.test", code).record("@", code, 60, data).bytes(),
                                "x.test", type);
    };
    EXPECT_THAT(answer_of(Type::tlsa, tlsa, "\x03\x01").error, HasSubstr("wrong form"));
    EXPECT_THAT(answer_of(Type::txt, txt,
                          "\x05"
                          "abc")
                    .error,
                HasSubstr("wrong form"));
    EXPECT_THAT(answer_of(Type::cname, cname,
                          "\x05"
                          "abc")
                    .error,
                HasSubstr("wrong form"));
}

TEST(DnsMessage, GivesACnameItselfWhenItIsAskedFor) {
    const auto answer =
        parse_dns_answer(DnsPacket("x.test", cname, authenticated).cname("@", "y.test", 60).bytes(),
                         "x.test", Type::cname);
    EXPECT_EQ(answer.status, Status::ok);
    EXPECT_EQ(answer.canonical, "y.test");
    EXPECT_TRUE(answer.authenticated);
}

TEST(DnsMessage, SaysWhoseRecordsTheyAreAndWhetherTheyAreAuthenticated) {
    const auto answer = parse_dns_answer(DnsPacket("x.test", a, authenticated)
                                             .cname("@", "y.test", 60)
                                             .record("y.test", a, 30, "\x7f\x3c\x01\x02")
                                             .bytes(),
                                         "x.test", Type::a);
    EXPECT_EQ(answer.canonical, "y.test");
    EXPECT_TRUE(answer.authenticated);
    EXPECT_TRUE(parse_mx(DnsPacket("x.test", mx, authenticated | 3)).authenticated) << "no name";
    EXPECT_FALSE(parse_mx(DnsPacket("x.test", mx)).authenticated);
}

TEST(DnsMessage, FailsOnServerErrorsByName) {
    EXPECT_THAT(parse_mx(DnsPacket("x.test", mx, 0x8182)).error, HasSubstr("SERVFAIL"));
    EXPECT_THAT(parse_mx(DnsPacket("x.test", mx, 0x8185)).error, HasSubstr("REFUSED"));
}

TEST(DnsMessage, FailsOnWhatIsNoAnswerToTheQuestion) {
    const DnsPacket good = DnsPacket("x.test", mx).mx("@", 1, "m.test", 60);
    EXPECT_THAT(parse_mx(good, "y.test").error, HasSubstr("another question"));
    EXPECT_THAT(parse_dns_answer(good.bytes(), "x.test", Type::a).error,
                HasSubstr("another question"));
    EXPECT_THAT(parse_mx(DnsPacket("x.test", mx, 0x0100)).error, HasSubstr("it is a question"));
    EXPECT_THAT(parse_mx(DnsPacket("x.test", mx, 0x8380)).error, HasSubstr("truncated"));
    EXPECT_THAT(parse_dns_answer("", "x.test", Type::mx).error, HasSubstr("shorter than a header"));
}

TEST(DnsMessage, FailsOnPointersThatDoNotGoBack) {
    const DnsPacket start("x.test", mx);
    const auto here =
        static_cast<uint16_t>(0xc000 | (start.bytes().size() + 12 + 2));  // the MX host's own place
    for (const uint16_t pointer : {here, static_cast<uint16_t>(here + 1), uint16_t{0xffff}}) {
        DnsPacket packet = start;
        packet.record("@", mx, 60, DnsPacket::u16(1) + DnsPacket::u16(pointer));
        EXPECT_THAT(parse_mx(packet).error, HasSubstr("wrong form")) << pointer;
    }
}

TEST(DnsMessage, FailsOnNamesAboveTheLimit) {
    std::string name;
    for (int i = 0; i < 5; ++i) name += std::string(i ? "." : "") + std::string(60, 'a');
    EXPECT_THAT(parse_mx(DnsPacket("x.test", mx).mx("@", 1, name, 60)).error,
                HasSubstr("wrong form"));
}

TEST(DnsMessage, FailsWhereverAnAnswerIsCut) {
    const std::string whole =
        DnsPacket("x.test", mx).mx("@", 1, "m1.test", 60).mx("@", 2, "m2.test", 60).bytes();
    for (size_t size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(parse_dns_answer(whole.substr(0, size), "x.test", Type::mx).status,
                  Status::failed)
            << size;
    }
}

TEST(DnsMessage, StaysWithinTheAnswerWhateverIsInIt) {
    constexpr uint64_t seed = 20261122;
    RecordProperty("seed", std::to_string(seed));
    std::mt19937_64 random(seed);
    const std::string octets("\xfd\x25\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
    const std::vector<std::pair<std::string, Type>> answers = {
        {DnsPacket("x.test", mx)
             .cname("@", "y.test", 9)
             .mx("y.test", 1, "m1.y.test", 60)
             .soa("test", 1, 2)
             .bytes(),
         Type::mx},
        {DnsPacket("x.test", a)
             .record("@", a, 30, "\x7f\x3c\x01\x02")
             .record("@", a, 30, "\x7f\x3c\x01\x03")
             .bytes(),
         Type::a},
        {DnsPacket("x.test", aaaa).record("@", aaaa, 30, octets).bytes(), Type::aaaa},
        {DnsPacket("x.test", mx, 0x8183).soa("test", 40, 3600).bytes(), Type::mx},
        {DnsPacket("x.test", tlsa, authenticated)
             .record("@", tlsa, 60, "\x03\x01\x01" + std::string(32, 'd'))
             .record("@", tlsa, 60, "\x02\x01\x02" + std::string(64, 'd'))
             .bytes(),
         Type::tlsa},
        {DnsPacket("x.test", txt)
             .cname("@", "y.test", 9)
             .record("y.test", txt, 60, "\x08v=STSv1;\x05 id=1")
             .bytes(),
         Type::txt},
        {DnsPacket("x.test", cname, authenticated).cname("@", "y.test", 60).bytes(), Type::cname}};
    size_t failed = 0;
    for (int round = 0; round < 100'000; ++round) {
        auto [packet, type] = answers[random() % answers.size()];
        for (uint64_t change = random() % 8 + 1; change > 0; --change) {
            // Half of the changes spare the header and the question, or few would reach the
            // records.
            const size_t from = packet.size() > 24 && random() % 2 ? 24 : 0;
            const size_t at = from + random() % (packet.size() - from);
            switch (random() % 5) {
                case 0:
                    packet[at] = static_cast<char>(random());
                    break;
                case 1:
                    packet[at] ^= static_cast<char>(1 << random() % 8);
                    break;
                case 2:
                    packet[at] = '\xc0';
                    break;
                case 3:
                    packet.resize(at + 1);
                    break;
                case 4:
                    packet.insert(at, 1, static_cast<char>(random()));
                    break;
            }
        }
        const std::string exact(packet);  // no slack behind it: ASan sees one octet too far
        failed += parse_dns_answer(exact, "x.test", type).status == Status::failed;
    }
    EXPECT_GT(failed, 10'000u);
    EXPECT_LT(failed, 99'000u);
}

TEST(DnsMessage, IsQuickOnAnAnswerThatIsMadeToBeSlow) {
    // 64 KiB of records whose names are chains of pointers, each leading two octets back.
    std::string packet = DnsPacket("x.test", mx).bytes();
    for (size_t at = packet.size(); packet.size() < 16'000; at = packet.size() - 2) {
        packet += DnsPacket::u16(static_cast<uint16_t>(0xc000 | (packet.size() == at ? 12 : at)));
    }
    packet[6] = '\xff', packet[7] = '\xff';
    while (packet.size() < 65'000) packet += DnsPacket::u16(0xfe00) + std::string(10, '\0');
    EXPECT_EQ(parse_dns_answer(packet, "x.test", Type::mx).status, Status::failed);
}

}  // namespace engine

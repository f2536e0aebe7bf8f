#include "engine/dns/address_policy.h"

#include <gmock/gmock.h>

namespace engine {

namespace {

SocketAddress ip(const std::string& text) {
    const auto address = SocketAddress::from_ip(text, 25);
    EXPECT_TRUE(address) << text;
    return address.value_or(SocketAddress{});
}

AddressPolicy allowing(std::vector<std::string> ranges) {
    auto policy = AddressPolicy::with_exceptions(ranges);
    EXPECT_TRUE(policy) << policy.error();
    return policy.value_or(AddressPolicy{});
}

constexpr const char* special_addresses[] = {"0.0.0.0",
                                             "0.1.2.3",
                                             "10.0.0.1",
                                             "10.255.255.255",
                                             "100.64.0.1",
                                             "100.127.255.255",
                                             "127.0.0.1",
                                             "127.0.0.53",
                                             "127.255.255.254",
                                             "169.254.0.1",
                                             "169.254.169.254",
                                             "172.16.0.1",
                                             "172.31.255.255",
                                             "192.0.0.1",
                                             "192.0.0.170",
                                             "192.0.2.1",
                                             "192.88.99.1",
                                             "192.168.0.1",
                                             "192.168.255.255",
                                             "198.18.0.1",
                                             "198.19.255.255",
                                             "198.51.100.7",
                                             "203.0.113.9",
                                             "224.0.0.1",
                                             "239.255.255.255",
                                             "240.0.0.1",
                                             "255.255.255.255",
                                             "::",
                                             "::1",
                                             "::2",
                                             "::127.0.0.1",
                                             "::ffff:127.0.0.1",
                                             "::ffff:10.0.0.1",
                                             "::ffff:169.254.169.254",
                                             "::ffff:0.0.0.0",
                                             "::ffff:0:127.0.0.1",
                                             "64:ff9b::127.0.0.1",
                                             "64:ff9b::10.1.2.3",
                                             "64:ff9b::a9fe:a9fe",
                                             "64:ff9b:1::1",
                                             "100::1",
                                             "2001::1",
                                             "2001:0:4136:e378::1",
                                             "2001:2::1",
                                             "2001:10::1",
                                             "2001:20::1",
                                             "2001:db8::1",
                                             "2001:db8:ffff::1",
                                             "2002:7f00:1::1",
                                             "2002:a00:1::1",
                                             "2002:c0a8:101::1",
                                             "2002:a9fe:a9fe::",
                                             "3fff::1",
                                             "3fff:fff::1",
                                             "5f00::1",
                                             "fc00::1",
                                             "fd00::1",
                                             "fd25::1",
                                             "fdff:ffff::1",
                                             "fe80::1",
                                             "febf::1",
                                             "fec0::1",
                                             "ff02::1",
                                             "ff0e::1",
                                             "4000::1",
                                             "8000::1"};

}  // namespace

TEST(AddressPolicy, RefusesEverySpecialAddressWithAReason) {
    static_assert(std::size(special_addresses) >= 60);
    for (const char* address : special_addresses) {
        EXPECT_THAT(AddressPolicy().refusal(ip(address)).value_or(""),
                    testing::StartsWith("it is "))
            << address;
    }
}

TEST(AddressPolicy, LetsMailGoToTheInternet) {
    for (const char* address : {"1.1.1.1",
                                "8.8.8.8",
                                "9.255.255.255",
                                "11.0.0.1",
                                "100.63.255.255",
                                "100.128.0.0",
                                "126.255.255.255",
                                "128.0.0.1",
                                "172.15.255.255",
                                "172.32.0.0",
                                "192.0.1.1",
                                "192.167.1.1",
                                "192.169.1.1",
                                "198.17.1.1",
                                "198.20.0.1",
                                "223.255.255.255",
                                "2a00:1450:4025::1b",
                                "2001:4860:4860::8888",
                                "2606:4700::1111",
                                "::ffff:8.8.8.8",
                                "64:ff9b::8.8.8.8",
                                "2002:808:808::1",
                                "3ffe::1"}) {
        EXPECT_EQ(AddressPolicy().refusal(ip(address)), std::nullopt) << address;
    }
}

TEST(AddressPolicy, RefusesUnixSockets) {
    EXPECT_TRUE(AddressPolicy().refusal(SocketAddress::parse("unix:/run/x.sock").value()));
}

TEST(AddressPolicy, AllowsTheNamedExceptionsAndNothingBeside) {
    const auto policy = allowing({"127.60.0.0/15", "fd25::1"});
    EXPECT_FALSE(policy.refusal(ip("127.60.0.1")));
    EXPECT_FALSE(policy.refusal(ip("127.61.255.255")));
    EXPECT_FALSE(policy.refusal(ip("::ffff:127.60.0.1")));
    EXPECT_FALSE(policy.refusal(ip("fd25::1")));
    EXPECT_TRUE(policy.refusal(ip("127.59.255.255")));
    EXPECT_TRUE(policy.refusal(ip("127.62.0.0")));
    EXPECT_TRUE(policy.refusal(ip("fd25::2")));
    EXPECT_TRUE(policy.refusal(ip("10.0.0.1")));
}

TEST(AddressPolicy, AllowsAWholeFamilyWhenAsked) {
    EXPECT_FALSE(allowing({"0.0.0.0/0"}).refusal(ip("127.0.0.1")));
    EXPECT_TRUE(allowing({"0.0.0.0/0"}).refusal(ip("::1")));
    EXPECT_FALSE(allowing({"::/0"}).refusal(ip("::1")));
}

TEST(AddressPolicy, SaysOfEveryBadRangeWhatIsWrong) {
    const auto policy = AddressPolicy::with_exceptions(
        std::vector<std::string>{"127.0.0.1", "localhost", "10.0.0.0/33", "10.0.0.0/", "fd25::/129",
                                 "10.0.0.1/8", "10.0.0.0/8x", ""});
    ASSERT_FALSE(policy);
    EXPECT_THAT(policy.error(), testing::HasSubstr("'localhost' is no IP address or range"));
    EXPECT_THAT(policy.error(), testing::HasSubstr("'10.0.0.0/33' has a wrong prefix length"));
    EXPECT_THAT(policy.error(), testing::HasSubstr("comes 0 to 32"));
    EXPECT_THAT(policy.error(), testing::HasSubstr("comes 0 to 128"));
    EXPECT_THAT(policy.error(), testing::HasSubstr("'10.0.0.1/8' has bits set beyond its prefix"));
    EXPECT_EQ(std::ranges::count(policy.error(), '\n'), 6);
}

}  // namespace engine

#include "engine/message/address.h"

#include <gtest/gtest.h>

namespace {

using engine::parse_address;

TEST(Address, TakesWhatRfc5321Allows) {
    for (std::string_view text :
         {"a@b", "ann.lee@example.com", "a+b=c@x.test", "!#$%&'*+-/=?^_`{|}~@x.test",
          "\"a b\"@x.test", "\"a\\\"@b\"@x.test", "user%host@x.test", "a@[192.0.2.1]",
          "a@[IPv6:2001:db8::1]", "a@x_y.test", "jörg@x.test", "a@bücher.test", "a@1.2.x"})
        EXPECT_TRUE(parse_address(text)) << text;
}
TEST(Address, RefusesWhatRfc5321Forbids) {
    using namespace std::string_view_literals;
    for (std::string_view text :
         {""sv,          "a"sv,          "@b"sv,         "a@"sv,         "a@b@c"sv,     ".a@b"sv,
          "a.@b"sv,      "a..b@c"sv,     "a b@c"sv,      "a@b c"sv,      "a@b..c"sv,    "a@.b"sv,
          "a@b."sv,      "<a@b>"sv,      "a@b>"sv,       "a@b\r\n"sv,    "a\n@b"sv,     "a\0@b"sv,
          "@x,@y:a@b"sv, "a@[1.2.3]"sv,  "a@[1.2.3.4"sv, "a@[IPv6:x]"sv, "a@[x]"sv,     "\"a@b"sv,
          "\"a\"b@c"sv,  "a@-b"sv,       "a@b-"sv,       "a(c)@b"sv,     "a,b@c"sv,     "a:b@c"sv,
          "a@b,c"sv,     "\"a\tb\"@c"sv, "\xFF@b"sv,     "a@\xC3"sv,     "\"a>b\"@c"sv, "a@b\\c"sv})
        EXPECT_FALSE(parse_address(text)) << text;
}
TEST(Address, KeepsTheLocalPartAndRoutesByTheLowerCaseDomain) {
    auto address = parse_address("Ann@EXAMPLE.Com");
    ASSERT_TRUE(address);
    EXPECT_EQ(address->local, "Ann");
    EXPECT_EQ(address->domain, "EXAMPLE.Com");
    EXPECT_EQ(address->routing_domain, "example.com");
    EXPECT_FALSE(address->utf8);
}
TEST(Address, RoutesInternationalDomainsByTheirALabels) {
    EXPECT_EQ(parse_address("a@Bücher.test")->routing_domain, "xn--bcher-kva.test");
    EXPECT_EQ(parse_address("a@straße.test")->routing_domain, "xn--strae-oqa.test");
    EXPECT_EQ(parse_address("a@bücher。test")->routing_domain, "xn--bcher-kva.test");
    EXPECT_FALSE(parse_address("a@bücher.test")->utf8);
    EXPECT_TRUE(parse_address("jörg@x.test")->utf8);
}
TEST(Address, RefusesInternationalDomainsThatHideOtherCharacters) {
    for (std::string_view text : {"a@b\u2028c.test", "a@b\uFF1Ec.test", "a@b\u00A0c.test",
                                  "a@b\u3002\u3002c", "a@\u200D.test"})
        EXPECT_FALSE(parse_address(text)) << text;
}
TEST(Address, HoldsTheLimitsOfLocalPartDomainAndLabel) {
    std::string label(63, 'd');
    std::string domain = label + "." + label + "." + label + "." + std::string(61, 'd');
    EXPECT_TRUE(parse_address(std::string(64, 'a') + "@x.test"));
    EXPECT_FALSE(parse_address(std::string(65, 'a') + "@x.test"));
    EXPECT_TRUE(parse_address("a@" + domain));
    EXPECT_FALSE(parse_address("a@" + domain + "d"));
    EXPECT_TRUE(parse_address("a@" + label + ".test"));
    EXPECT_FALSE(parse_address("a@" + label + "d.test"));
    EXPECT_FALSE(parse_address(std::string(1'000'000, 'a')));
}

}  // namespace

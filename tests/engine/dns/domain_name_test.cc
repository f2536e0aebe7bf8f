#include "engine/dns/domain_name.h"
#include <gtest/gtest.h>


namespace engine {

TEST(DomainName, IsLoweredAndLosesItsTrailingDot) {
    EXPECT_EQ(parse_domain("Mail.EXAMPLE.com."), "mail.example.com");
    EXPECT_EQ(parse_domain("localhost"), "localhost");
}

TEST(DomainName, ToleratesWhatRealMailHostsHave) {
    for (const char* name : {"mx_1.example.com", "_dmarc.example.com", "1and1.example",
                             "xn--bcher-kva.example", "a--b.example", "0.0.example"}) {
        EXPECT_TRUE(parse_domain(name)) << name;
    }
}

TEST(DomainName, RefusesWhatNoHostIsCalled) {
    for (const char* name :
         {"", ".", "..", ".example.com", "example..com", "-a.example", "a-.example", "a b.example",
          "a\r\nb.example",
          "b\xc3\xbc"
          "cher.example",
          "a/b", "a:25", "[192.0.2.1]", "192.0.2.1", "example.123", "a@b", "a\\.b", "*"}) {
        EXPECT_FALSE(parse_domain(name)) << name;
    }
    EXPECT_FALSE(parse_domain(std::string_view("a\0b.example", 11)));
}

TEST(DomainName, HasTheLimitsOfTheDns) {
    const std::string label(63, 'a');
    const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
    EXPECT_EQ(longest.size(), 253u);
    EXPECT_TRUE(parse_domain(longest));
    EXPECT_FALSE(parse_domain(longest + "a"));
    EXPECT_FALSE(parse_domain(label + "a.example"));
}

}  // namespace engine

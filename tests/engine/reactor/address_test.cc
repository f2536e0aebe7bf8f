#include "engine/reactor/address.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

TEST(Address, ReadsWhatItPrints) {
    for (const char* text :
         {"127.0.0.1:25", "[::1]:2525", "[2001:db8::1]:65535", "unix:/run/x.sock"}) {
        const auto address = SocketAddress::parse(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(address->to_string(), text);
    }
}

TEST(Address, RefusesWhatIsAmbiguousOrNoAddress) {
    for (const char* text :
         {"", "25", "127.0.0.1", "::1:25", "[::1]", "[127.0.0.1]:25", "1.2.3.4:65536", "1.2.3.4:-1",
          "1.2.3.4:", "localhost:25", "1.2.3:25", "unix:", "[::1]:25x"}) {
        EXPECT_FALSE(SocketAddress::parse(text)) << text;
    }
    EXPECT_FALSE(SocketAddress::parse("unix:/" + std::string(108, 'x')));
    EXPECT_FALSE(SocketAddress::from_ip(std::string_view("1.2.3.4\0.5", 10), 25));
}

TEST(Address, KnowsLoopbackInAllItsForms) {
    EXPECT_TRUE(SocketAddress::from_ip("127.60.0.1", 1)->is_loopback());
    EXPECT_TRUE(SocketAddress::from_ip("::1", 1)->is_loopback());
    EXPECT_TRUE(SocketAddress::from_ip("::ffff:127.0.0.1", 1)->is_loopback());
    EXPECT_TRUE(SocketAddress::parse("unix:/x")->is_loopback());
    EXPECT_FALSE(SocketAddress::from_ip("128.0.0.1", 1)->is_loopback());
    EXPECT_FALSE(SocketAddress::from_ip("::ffff:10.0.0.1", 1)->is_loopback());
    EXPECT_FALSE(SocketAddress{}.is_loopback());
}

TEST(Address, ChangesItsPortOnly) {
    auto address = *SocketAddress::from_ip("2001:db8::1", 25);
    address.set_port(587);
    EXPECT_EQ(address.port(), 587);
    EXPECT_EQ(address.ip(), "2001:db8::1");
}

}  // namespace
}  // namespace engine

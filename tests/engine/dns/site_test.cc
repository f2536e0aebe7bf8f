#include "engine/dns/site.h"

#include "engine/dns/resolver.h"
#include <gtest/gtest.h>


namespace engine {

TEST(Site, IsTheSameForEqualSetsWhateverTheirOrder) {
    const std::vector<MxHost> one = {{10, "mx1.example", 25}, {20, "mx2.example", 25}};
    const std::vector<MxHost> other = {{5, "mx2.example", 25}, {5, "mx1.example", 25}};
    EXPECT_EQ(site_name(one, 25), "mx1.example+mx2.example");
    EXPECT_EQ(site_name(one, 25), site_name(other, 25));
}

TEST(Site, DiffersWhenAHostDiffers) {
    EXPECT_NE(site_name(std::vector<MxHost>{{10, "a.example", 25}}, 25),
              site_name(std::vector<MxHost>{{10, "a.example", 25}, {20, "b.example", 25}}, 25));
}

TEST(Site, NamesAnUnusualPort) {
    EXPECT_EQ(site_name(std::vector<MxHost>{{0, "relay.example", 2525}}, 25), "relay.example:2525");
    EXPECT_EQ(site_name(std::vector<MxHost>{{0, "relay.example", 2525}}, 2525), "relay.example");
}

TEST(Site, OfALongSetStaysShortAndStillTellsSetsApart) {
    std::vector<MxHost> hosts;
    for (int i = 0; i < 40; ++i)
        hosts.push_back({10, "mx" + std::to_string(i) + ".a-long-name.example", 25});
    const std::string site = site_name(hosts, 25);
    EXPECT_LE(site.size(), 200u);
    hosts.back().name = "zz.example";
    EXPECT_NE(site_name(hosts, 25), site);
    EXPECT_EQ(site_name(hosts, 25).substr(0, 100), site.substr(0, 100));
}

}  // namespace engine

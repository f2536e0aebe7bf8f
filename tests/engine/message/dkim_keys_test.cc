#include "engine/message/dkim_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/engine/message/support/keys.h"

namespace {

using engine::DkimEntry;
using engine::DkimKeys;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using enum engine::DkimEntry::Signs;

/// A folder with one.pem (RSA of 1,024 bits) in it.
class DkimKeysOnDisk : public testing::Test {
  protected:
    DkimKeysOnDisk() {
        std::string name = (std::filesystem::temp_directory_path() / "keys-XXXXXX").string();
        folder_ = mkdtemp(name.data());
        write("one.pem", test::new_rsa_pem(1024));
    }
    ~DkimKeysOnDisk() override { std::filesystem::remove_all(folder_); }

    std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
        const std::string path = (folder_ / name).string();
        std::ofstream(path) << text;
        chmod(path.c_str(), mode);
        return path;
    }
    DkimEntry entry(std::string domain, std::string selector, DkimEntry::Signs signs = own,
                    std::string tenant = "") {
        return {std::move(domain), std::move(selector), (folder_ / "one.pem").string(),
                std::move(tenant), signs};
    }
    static std::vector<std::string> found(const DkimKeys& keys, std::string_view domain,
                                          std::string_view tenant = "t") {
        std::vector<std::string> names;
        for (const auto& identity : keys.find(domain, tenant))
            names.push_back(identity.selector + "@" + identity.domain);
        return names;
    }
    std::filesystem::path folder_;
};

TEST_F(DkimKeysOnDisk, SignOnlyTheirVeryDomainUnlessTheySayMore) {
    const auto keys = DkimKeys::load({entry("x.test", "s1"), entry("x.test", "s2")}).keys;
    ASSERT_TRUE(keys);
    EXPECT_THAT(found(*keys, "x.test"), ElementsAre("s1@x.test", "s2@x.test"));
    for (const char* other : {"a.x.test", "test", "yx.test", ""})
        EXPECT_THAT(found(*keys, other), IsEmpty()) << other;
}

TEST_F(DkimKeysOnDisk, OfAParentSignWhatIsBelowWithoutAnEntryOfItsOwn) {
    const auto keys = DkimKeys::load({entry("x.test", "s1", subdomains), entry("x.test", "own"),
                                      entry("b.x.test", "s2", subdomains), entry("c.x.test", "s3")})
                          .keys;
    ASSERT_TRUE(keys);
    EXPECT_THAT(found(*keys, "x.test"), ElementsAre("s1@x.test", "own@x.test"));
    EXPECT_THAT(found(*keys, "a.x.test"), ElementsAre("s1@x.test"));
    EXPECT_THAT(found(*keys, "d.b.x.test"), ElementsAre("s2@b.x.test"));
    EXPECT_THAT(found(*keys, "c.x.test"), ElementsAre("s3@c.x.test"));
    EXPECT_THAT(found(*keys, "d.c.x.test"), ElementsAre("s1@x.test"));
    EXPECT_THAT(found(*keys, "ax.test"), IsEmpty());
}

TEST_F(DkimKeysOnDisk, OfATenantSignNobodyElsesMail) {
    const auto keys =
        DkimKeys::load({entry("x.test", "s1", own, "acme"), entry("y.test", "s2", all, "acme"),
                        entry("z.test", "s3", all)})
            .keys;
    ASSERT_TRUE(keys);
    EXPECT_THAT(found(*keys, "x.test", "acme"), ElementsAre("s1@x.test", "s2@y.test", "s3@z.test"));
    EXPECT_THAT(found(*keys, "x.test", "evil"), ElementsAre("s3@z.test"));
    EXPECT_THAT(found(*keys, "", "evil"), ElementsAre("s3@z.test"));
}

TEST_F(DkimKeysOnDisk, AreAtMostEightForOneMail) {
    std::vector<DkimEntry> entries;
    for (int i = 0; i < 12; ++i) entries.push_back(entry("x.test", "s" + std::to_string(i)));
    EXPECT_EQ(DkimKeys::load(entries).keys->find("x.test", "t").size(), DkimKeys::signatures_max);
}

TEST_F(DkimKeysOnDisk, AreReportedWithWhatIsWrongWithEach) {
    DkimEntry missing = entry("x.test", "s1"), open = entry("x.test", "s2");
    missing.key = (folder_ / "missing.pem").string();
    open.key = write("open.pem", test::new_rsa_pem(2048), 0644);
    const auto loaded = DkimKeys::load({missing, open, entry("x.test", "s3")});
    EXPECT_FALSE(loaded.keys);
    ASSERT_EQ(loaded.reports.size(), 3u);
    EXPECT_EQ(loaded.reports[0].entry, "s1._domainkey.x.test");
    EXPECT_THAT(loaded.reports[0].problem, HasSubstr("missing.pem cannot be read: No such file"));
    EXPECT_EQ(loaded.reports[1].problem, "");
    EXPECT_THAT(loaded.reports[1].warning, HasSubstr("every user of this host can read"));
    EXPECT_THAT(loaded.reports[1].record, testing::StartsWith("v=DKIM1; k=rsa; p=MII"));
    EXPECT_THAT(loaded.reports[2].warning, HasSubstr("RSA of 1024 bits is weak"));
}

TEST(FromDomain, IsThatOfTheFirstMailboxInAsciiForm) {
    using engine::from_domain;
    EXPECT_EQ(from_domain("Subject: From: x\r\nFROM : Ann <a@X.Test>\r\n"), "x.test");
    EXPECT_EQ(from_domain("From: \"a@b.test\" (c@d.test)\r\n <e@f.test>, g@h.test\r\n"), "f.test");
    EXPECT_EQ(from_domain("From: =?utf-8?q?a=40b.test?= <e@f.test>\r\n"), "f.test");
    EXPECT_EQ(from_domain("From: a@b\xC3\xBC"
                          "cher.test\r\n"),
              "xn--bcher-kva.test");
    for (const char* none : {"", "From: nobody\r\n", "From: undisclosed:;\r\n", "To: a@b.test\r\n"})
        EXPECT_EQ(from_domain(none), "") << none;
}

}  // namespace

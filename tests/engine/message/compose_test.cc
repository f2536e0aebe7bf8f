#include "engine/message/compose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "engine/message/encode.h"
#include "engine/message/relaxed.h"
#include "tests/engine/message/support/keys.h"
#include "tests/engine/message/support/mail.h"

namespace {

using namespace test;
using engine::compose;
using engine::Composed;
using engine::Content;
using engine::DkimKeys;
using engine::MailForm;
using engine::Templating;
using testing::HasSubstr;
using testing::StartsWith;

/// Keys that sign mail from news@example.com, which simple() is.
const DkimKeys& keys() {
    static const auto loaded = [] {
        std::string path = "/tmp/compose-key-XXXXXX";
        const int fd = mkstemp(path.data());
        close(fd);
        std::ofstream(path) << new_rsa_pem(1024);
        auto result = DkimKeys::load({{"example.com", "s1", path}}).keys;
        unlink(path.c_str());
        return result;
    }();
    return *loaded;
}
const DkimKeys none;

Composed made(const Content& content, MailForm form, const DkimKeys& with,
              const std::string& vars = "") {
    return compose(content, {.id = {origin.job, 0}, .to = "ann@example.org", .vars = vars}, form,
                   with, "t", std::chrono::sys_seconds(std::chrono::seconds(1'800'000'000)));
}
std::string body_hash_in(std::string_view mail) {
    const size_t at = mail.find("bh=");
    return std::string(mail.substr(at + 3, 44));
}
std::string body_hash_of(std::string_view mail) {
    const auto hash = engine::relaxed_body_hash(mail.substr(mail.find("\r\n\r\n") + 4));
    return engine::base64({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

TEST(Compose, SignsInFrontOfTheMailAsItIs) {
    const Content content = compile(simple());
    const Composed plain = made(content, MailForm::as_is, none);
    const Composed with = made(content, MailForm::as_is, keys());
    EXPECT_FALSE(plain.is_signed);
    EXPECT_TRUE(with.is_signed);
    EXPECT_THAT(with.bytes, StartsWith("DKIM-Signature: v=1;"));
    EXPECT_THAT(with.bytes, testing::EndsWith(plain.bytes));
    EXPECT_TRUE(fits_smtp(with.bytes));
    EXPECT_EQ(body_hash_in(with.bytes), body_hash_of(plain.bytes));
}

// The body's hash is taken once where rendering leaves the body alone; nobody must see a
// difference.
TEST(Compose, AHashThatIsUsedAgainIsTheOneOfTheBody) {
    engine::MailParts parts = simple();
    parts.subject = "Hello {{name}}";
    parts.text = "The same  for all \n\n";
    parts.html = "<p>ü</p>";
    const Content same = compile(parts);
    ASSERT_TRUE(same.constant_body_hash());
    for (const char* name : {"Ann", "Bob", ""}) {
        const Composed mail =
            made(same, MailForm::as_is, keys(), same.encode_vars({{"name", name}}));
        EXPECT_EQ(body_hash_in(mail.bytes), body_hash_of(mail.bytes));
    }
    parts.text = "For {{name}}";
    const Content other = compile(parts);
    EXPECT_FALSE(other.constant_body_hash());
    const Composed mail = made(other, MailForm::as_is, keys(), other.encode_vars({{"name", "A"}}));
    EXPECT_EQ(body_hash_in(mail.bytes), body_hash_of(mail.bytes));
}

TEST(Compose, ConstantBodiesAreFoundInEveryKindOfContent) {
    const auto hash = [](const Content& content) {
        return content.constant_body_hash().has_value();
    };
    const std::string raw = "From: a@example.com\r\nSubject: {{x}}\r\n\r\nbody\r\n";
    EXPECT_TRUE(hash(compile_raw(raw, Templating::on)));
    EXPECT_TRUE(hash(compile_raw(raw, Templating::off)));
    EXPECT_TRUE(hash(compile_raw("From: a@example.com\r\n\r\n", Templating::off)));
    EXPECT_FALSE(hash(compile_raw("From: a@example.com\r\n\r\n{{x}}\r\n", Templating::on)));
    EXPECT_FALSE(
        hash(compile_raw("From: a@example.com\r\n\r\nx{{#if y}}z{{/if}}\r\n", Templating::on)));
    const Content content = compile_raw(raw, Templating::on);
    const auto decoded = Content::decode(content.encode());
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->constant_body_hash(), content.constant_body_hash());
}

TEST(Compose, ConvertsBeforeItSigns) {
    const Content content = compile_raw(
        "From: a@example.com\r\nSubject: \xC3\xBC\r\n\r\n\xC3\xBC\r\n", Templating::off);
    EXPECT_TRUE(content.eight_bit());
    EXPECT_TRUE(content.utf8_header());
    const Composed as_is = made(content, MailForm::as_is, keys());
    EXPECT_TRUE(as_is.eight_bit && as_is.utf8_header);
    const Composed seven = made(content, MailForm::seven_bit, keys());
    EXPECT_TRUE(seven.converted);
    EXPECT_FALSE(seven.eight_bit || seven.utf8_header);
    EXPECT_TRUE(engine::is_ascii(seven.bytes));
    EXPECT_EQ(body_hash_in(seven.bytes), body_hash_of(seven.bytes));
    const Composed header = made(content, MailForm::ascii_header, keys());
    EXPECT_TRUE(header.eight_bit);
    EXPECT_FALSE(header.utf8_header);
    EXPECT_EQ(body_hash_in(header.bytes), body_hash_in(as_is.bytes));
    EXPECT_THAT(header.bytes, HasSubstr("Subject: =?"));
}

TEST(Compose, LeavesWhatItCannotConvertWithItsFlags) {
    const Content content = compile_raw(
        "From: a@example.com\r\nReferences: <\xC3\xBC@x>\r\n\r\n\xC3\xBC\r\n", Templating::off);
    const Composed mail = made(content, MailForm::seven_bit, none);
    EXPECT_FALSE(mail.converted);
    EXPECT_TRUE(mail.eight_bit && mail.utf8_header);
}

TEST(Compose, AnUtf8HeaderIsOneOfTheMessageItself) {
    EXPECT_FALSE(
        compile_raw("From: a@example.com\r\n\r\n\xC3\xBC\r\n", Templating::off).utf8_header());
    EXPECT_FALSE(compile(simple()).utf8_header());
}

}  // namespace

#include "engine/message/dkim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "engine/message/encode.h"
#include "engine/message/entity.h"
#include "engine/message/headers.h"
#include "engine/message/relaxed.h"
#include "tests/engine/message/support/keys.h"
#include "tests/engine/message/support/mail.h"

namespace {

using namespace test;
using engine::DkimIdentity;
using engine::DkimKey;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const auto at = std::chrono::sys_seconds(std::chrono::seconds(1'800'000'000));

std::string signatures(std::string_view message, std::vector<DkimIdentity> identities) {
    const size_t header = engine::header_size(message);
    const std::string_view body = message.substr(std::min(header + 2, message.size()));
    return engine::dkim_signatures(message.substr(0, header), engine::relaxed_body_hash(body),
                                   identities, at);
}
std::string signature(std::string_view message) {
    return signatures(message, {{"x.test", "s1", rfc8463_rsa_key()}});
}
/// The value of a tag, without blanks.
std::string tag(std::string_view field, std::string_view name) {
    std::string flat;
    for (const char c : field)
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') flat += c;
    flat = ";" + flat.substr(flat.find(':') + 1) + ";";
    const size_t start = flat.find(";" + std::string(name) + "=");
    if (start == std::string::npos) return "(none)";
    const size_t value = start + name.size() + 2;
    return flat.substr(value, flat.find(';', value) - value);
}
size_t times(std::string_view list, std::string_view name) {
    size_t count = 0;
    for (size_t from = 0; from < list.size();) {
        const size_t end = std::min(list.find(':', from), list.size());
        if (engine::same_name(list.substr(from, end - from), name)) ++count;
        from = end + 1;
    }
    return count;
}

/// The header text of RFC 6376 3.7 for a signature that somebody else composed.
engine::Sha256 header_hash(const std::vector<std::string>& fields,
                           std::string_view unsigned_field) {
    std::string text;
    for (const std::string& field : fields) engine::append_relaxed_field(text, field);
    engine::append_relaxed_field(text, unsigned_field);
    text.resize(text.size() - 2);
    return engine::sha256(text);
}

// RFC 8463 appendix A: both signatures come out as they are printed there.
TEST(Dkim, SignsTheStandardsExampleAsTheStandardDoes) {
    const std::vector<std::string> fields = {
        "From: Joe SixPack <joe@football.example.com>\r\n",
        "To: Suzie Q <suzie@shopping.example.net>\r\n", "Subject: Is dinner ready?\r\n",
        "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n",
        "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"};
    const std::string body = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
    const auto hash = engine::relaxed_body_hash(body);
    const std::string body_hash =
        engine::base64({reinterpret_cast<const char*>(hash.data()), hash.size()});
    EXPECT_EQ(body_hash, "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
    const auto field = [&](const char* algorithm, const char* selector) {
        return std::string("DKIM-Signature: v=1; a=") + algorithm +
               "; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n"
               " q=dns/txt; s=" +
               selector +
               "; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : "
               "date;\r\n bh=" +
               body_hash + ";\r\n b=";
    };
    EXPECT_EQ(engine::base64(rfc8463_ed25519_key()->sign(
                  header_hash(fields, field("ed25519-sha256", "brisbane")))),
              "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1"
              "Dw==");
    EXPECT_EQ(
        engine::base64(rfc8463_rsa_key()->sign(header_hash(fields, field("rsa-sha256", "test")))),
        "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFO"
        "eS9mPYQTnGdaSGsgeefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=");
}

TEST(Dkim, PublishesTheKeysOfTheStandardsExample) {
    EXPECT_EQ(rfc8463_ed25519_key()->dns_record(),
              "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    EXPECT_EQ(rfc8463_rsa_key()->dns_record(),
              "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk"
              "08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHv"
              "qMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB");
}

TEST(Dkim, WritesOneFieldPerIdentityInShortLines) {
    const std::string fields =
        signatures("From: a@x.test\r\nSubject: s\r\n\r\nhi\r\n",
                   {{"x.test", "s1", rfc8463_rsa_key()}, {"x.test", "s2", rfc8463_ed25519_key()}});
    const auto entity = engine::split_entity(fields);
    ASSERT_EQ(entity.fields.size(), 2u);
    EXPECT_EQ(entity.body, "");
    EXPECT_EQ(tag(entity.fields[0].whole, "a"), "rsa-sha256");
    EXPECT_EQ(tag(entity.fields[1].whole, "a"), "ed25519-sha256");
    EXPECT_EQ(tag(entity.fields[1].whole, "s"), "s2");
    for (const auto& field : entity.fields) {
        EXPECT_EQ(tag(field.whole, "v"), "1");
        EXPECT_EQ(tag(field.whole, "c"), "relaxed/relaxed");
        EXPECT_EQ(tag(field.whole, "d"), "x.test");
        EXPECT_EQ(tag(field.whole, "t"), "1800000000");
        for (const char* absent : {"l", "i", "x", "z"})
            EXPECT_EQ(tag(field.whole, absent), "(none)");
    }
    for (size_t line = 0; line < fields.size();) {
        const size_t end = fields.find("\r\n", line);
        EXPECT_LE(end - line, 78u) << fields.substr(line, end - line);
        line = end + 2;
    }
}

TEST(Dkim, ClosesTheFieldsThatMailProgramsShow) {
    const std::string names = tag(signature("From: a@x.test\r\n\r\n"), "h");
    for (const char* name :
         {"To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post"})
        EXPECT_EQ(times(names, name), 1u) << name;
    EXPECT_EQ(times(names, "From"), 2u);
    for (const char* name : {"Reply-To", "Cc", "MIME-Version", "Content-Type", "References"})
        EXPECT_EQ(times(names, name), 0u) << name;
}

TEST(Dkim, CoversEveryFieldOfANameAndOneMore) {
    const std::string names =
        tag(signature("Reply-To: a@x\r\nFrom: a@x.test\r\nreply-to: b@x\r\nContent-Type: "
                      "text/plain\r\nX-Other: 1\r\nList-Unsubscribe: <https://x/>\r\n\r\n"),
            "h");
    EXPECT_EQ(times(names, "Reply-To"), 3u);
    EXPECT_EQ(times(names, "Content-Type"), 2u);
    EXPECT_EQ(times(names, "List-Unsubscribe"), 2u);
    EXPECT_EQ(times(names, "X-Other"), 0u);
}

TEST(Dkim, ALongDomainStaysOnALineOfItsOwn) {
    std::string domain = "x.test";
    while (domain.size() < 240) domain = "label-of-a-long-name." + domain;
    const std::string field =
        signatures("From: a@x.test\r\n\r\n", {{domain, "s", rfc8463_ed25519_key()}});
    EXPECT_THAT(field, HasSubstr("\r\n\td=" + domain + ";"));
    EXPECT_EQ(tag(field, "d"), domain);
}

TEST(Dkim, FindsTheEndOfAHeader) {
    EXPECT_EQ(engine::header_size("A: b\r\n\r\nbody"), 6u);
    EXPECT_EQ(engine::header_size("\r\nbody"), 0u);
    EXPECT_EQ(engine::header_size("A: b\r\n"), 6u);
}

std::string refusal(std::string_view pem) {
    auto key = DkimKey::from_pem(pem);
    return key ? "" : key.error();
}

TEST(DkimKey, RefusesWhatReceiversRefuse) {
    EXPECT_THAT(refusal(new_rsa_pem(512)), HasSubstr("RSA of 512 bits, which receivers refuse"));
    EXPECT_THAT(refusal(""), HasSubstr("no private key in PEM form"));
    EXPECT_THAT(refusal("-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n"),
                HasSubstr("is a public key"));
    EXPECT_THAT(refusal(encrypted_pem()), HasSubstr("is encrypted"));
    EXPECT_THAT(refusal(ec_pem()), HasSubstr("is a key of type EC"));
    EXPECT_THAT(refusal(std::string(DkimKey::pem_bytes_max + 1, 'x')), HasSubstr("too large"));
}

TEST(DkimKey, TakesBothPemFormsOfRsa) {
    auto key = DkimKey::from_pem(new_rsa_pem(1024));  // PKCS#8; the standard's example is the older
    ASSERT_TRUE(key) << key.error();
    EXPECT_EQ(key->bits(), 1024u);
    EXPECT_EQ(key->sign(engine::sha256("x")).size(), 128u);
    EXPECT_EQ(rfc8463_rsa_key()->bits(), 1024u);
}

TEST(DkimKey, SaysWhatIsWrongWithAFile) {
    const auto problem = [](const std::string& path) {
        auto key = DkimKey::from_file(path);
        return key ? "" : key.error();
    };
    EXPECT_THAT(problem("/nowhere/key.pem"), HasSubstr("No such file"));
    EXPECT_EQ(problem("/tmp"), "is no regular file");
    EXPECT_EQ(problem("/dev/zero"), "is no regular file");
}

}  // namespace

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "metrics/catalog.h"
#include "tests/ingest/support/test_shard.h"
#include "storage/ids.h"

namespace ingest::test {
namespace {

using nlohmann::json;

constexpr std::string_view small_job =
    R"({"from":"b@s.test","content":{"from":"S <s@s.test>","subject":"Hi {{name}}","text":"Hello {{name}}"},)"
    R"("recipients":[{"to":"a@x.test","vars":{"name":"Ann"},"meta":{"uid":7}}]})";

std::string job_with(std::string_view member) {
    return fmt::format(
        R"({{{},"from":"b@s.test","content":{{"from":"s@s.test","subject":"s","text":"t"}},)"
        R"("recipients":[{{"to":"a@x.test"}}]}})",
        member);
}
std::string job_to(std::string_view recipients) {
    return fmt::format(
        R"({{"from":"b@s.test","content":{{"from":"s@s.test","subject":"{{{{name}}}}{{{{token}}}}",)"
        R"("text":"t"}},"recipients":{}}})",
        recipients);
}
json errors_of(const Reply& reply) {
    return json::parse(reply.body).at("errors");
}
std::string fields_of(const Reply& reply) {
    std::string out;
    for (const auto& error : errors_of(reply)) {
        out += (out.empty() ? "" : " ") + error.value("code", "?") + "@" + error.value("field", "");
    }
    return out;
}

TEST(Messages, AcceptAJobAndSayItsId) {
    TestShard shard;
    const auto reply = shard.post(small_job);
    ASSERT_EQ(reply.status, 202) << reply.body;
    const auto answer = json::parse(reply.body);
    EXPECT_EQ(answer["accepted"], 1);
    EXPECT_EQ(answer["rejected"], json::array());
    ASSERT_EQ(shard.intake.jobs.size(), 1u);
    const auto& [id, kept] = *shard.intake.jobs.begin();
    EXPECT_EQ(answer["job"], storage::to_text(id));
    EXPECT_EQ(kept.job.sender, "b@s.test");
    EXPECT_EQ(kept.job.tenant, "default");
    EXPECT_EQ(kept.job.klass, storage::Class::bulk);
    ASSERT_EQ(kept.recipients.size(), 1u);
    EXPECT_EQ(kept.recipients[0].address, "a@x.test");
    EXPECT_EQ(kept.recipients[0].routing_domain, "x.test");
    EXPECT_EQ(kept.recipients[0].meta, R"({"uid":7})");
    EXPECT_TRUE(kept.ended);
    const std::string mail = kept.content->render({{id, 0}, "a@x.test", kept.recipients[0].vars});
    EXPECT_NE(mail.find("Subject: Hi Ann"), std::string::npos);
}

TEST(Messages, TakeEveryOptionOfAJob) {
    TestShard shard;
    const auto reply = shard.post(job_with(
        R"("tenant":"acme","campaign":"nov","class":"transactional","pool":"default","send_at":"2026-11-22T10:00:00Z","expires_in":"24h")"));
    ASSERT_EQ(reply.status, 202) << reply.body;
    const auto& kept = shard.intake.jobs.begin()->second;
    EXPECT_EQ(kept.job.tenant, "acme");
    EXPECT_EQ(kept.job.campaign, "nov");
    EXPECT_EQ(kept.job.klass, storage::Class::transactional);
    EXPECT_EQ(kept.expires_in, 24h);
    ASSERT_TRUE(kept.send_at);
}

TEST(Messages, AreNotAnsweredBeforeTheyAreDurable) {
    TestShard shard;
    shard.intake.commit_takes = 50ms;
    const auto wire = shard.connect();
    wire->to_server = http("POST", "/v1/messages", small_job);
    shard.reactor.advance(49ms);
    EXPECT_EQ(wire->from_server, "");
    shard.reactor.advance(1ms);
    EXPECT_EQ(shard.replies(*wire).at(0).status, 202);
}

TEST(Messages, RejectBadRecipientsAndKeepTheOthers) {
    TestShard shard;
    const auto reply =
        shard.post(job_to(R"([{"to":"a@x.test"},{"to":"bad"},{"to":"c@x.test"}])"), "?ids=true");
    ASSERT_EQ(reply.status, 202) << reply.body;
    const auto answer = json::parse(reply.body);
    EXPECT_EQ(answer["accepted"], 2);
    ASSERT_EQ(answer["rejected"].size(), 1u);
    EXPECT_EQ(answer["rejected"][0]["index"], 1);
    EXPECT_EQ(answer["rejected"][0]["to"], "bad");
    EXPECT_EQ(answer["rejected"][0]["code"], "recipient.invalid");
    const std::string job = answer["job"];
    EXPECT_EQ(answer["ids"], json::array({job + "-0", job + "-1"}));
}

TEST(Messages, NameEveryWrongFieldAtOnce) {
    TestShard shard;
    const auto reply = shard.post(
        R"({"from":"nobody","tenant":"a b","class":"fast","pool":"fast","send_at":"now","expires_in":"1y","colour":1,)"
        R"("content":{"from":"s@s.test","subject":7},"recipients":[{"to":3},{"vars":{"x":[]}},{"to":"a@x.test","meta":1}]})");
    EXPECT_EQ(reply.status, 422);
    EXPECT_EQ(fields_of(reply),
              "field.address@from field.label@tenant field.value@class pool.unknown@pool "
              "field.time@send_at "
              "field.duration@expires_in field.unknown@colour field.type@content.subject "
              "field.type@recipients[0].to field.type@recipients[1].vars.x "
              "field.required@recipients[1].to "
              "field.type@recipients[2].meta");
    EXPECT_TRUE(shard.intake.jobs.empty());
}

TEST(Messages, NameMissingMembers) {
    TestShard shard;
    EXPECT_EQ(fields_of(shard.post("{}")),
              "field.required@from field.required@content field.required@recipients");
    EXPECT_EQ(fields_of(shard.post(job_to("[]"))), "recipients.none@recipients");
    EXPECT_EQ(fields_of(shard.post(job_to(R"([{"to":"bad"}])"))),
              "recipient.invalid@recipients[0].to");
}

TEST(Messages, RefuseHeaderInjectionWithTheFieldsName) {
    TestShard shard;
    EXPECT_EQ(fields_of(shard.post(
                  job_to(R"([{"to":"a@x.test","vars":{"token":"a\r\nBcc: b@x.test"}}])"))),
              "vars.header_injection@recipients[0].vars.token");
    EXPECT_EQ(fields_of(shard.post(job_to(R"([{"to":"a@x.test","name":"a\nb"}])"))),
              "vars.header_injection@recipients[0].name");
    EXPECT_EQ(
        fields_of(shard.post(
            R"({"from":"b@s.test","content":{"from":"s@s.test","subject":"a\r\nBcc: x","text":"t"},)"
            R"("recipients":[{"to":"a@x.test"}]})")),
        "content.header_injection@content.subject");
}

TEST(Messages, SayLineAndColumnOfASyntaxError) {
    TestShard shard;
    const auto reply = shard.post("{\n  \"from\": x\n}");
    EXPECT_EQ(reply.status, 400);
    const auto error = errors_of(reply).at(0);
    EXPECT_EQ(error["code"], "json.syntax");
    EXPECT_EQ(error["line"], 2);
    EXPECT_EQ(error["column"], 11);
}

TEST(Messages, RefuseEveryCutOfAJobAsSyntax) {
    TestShard shard;
    for (size_t i = 0; i < small_job.size(); ++i) {
        const auto reply = shard.post(small_job.substr(0, i));
        ASSERT_EQ(reply.status, 400) << small_job.substr(0, i) << " " << reply.body;
    }
    EXPECT_TRUE(shard.intake.jobs.empty());
}

TEST(Messages, RefuseDuplicateNames) {
    TestShard shard;
    EXPECT_EQ(fields_of(shard.post(job_with(R"("from":"c@s.test")"))), "field.duplicate@from");
    EXPECT_EQ(fields_of(shard.post(job_to(R"([{"to":"a@x.test","to":"b@x.test"}])"))),
              "field.duplicate@recipients[0].to");
    EXPECT_EQ(fields_of(shard.post(job_to(R"([{"to":"a@x.test","vars":{"a":"1","a":"2"}}])"))),
              "field.duplicate@recipients[0].vars.a");
}

TEST(Messages, SurviveBombsWithAPlainAnswer) {
    TestShard shard;
    const std::string deep(200'000, '[');
    std::string many = "[";
    for (int i = 0; i < 1'000'000; ++i) many += R"({"to":"a@x.test"},)";
    many.back() = ']';
    EXPECT_EQ(shard.post(deep).status, 400);
    EXPECT_EQ(shard.post(job_with("\"x\":" + deep)).status, 400);
    EXPECT_EQ(shard
                  .post(job_to(R"([{"to":"a@x.test","meta":{"a":)" + std::string(100, '[') +
                               std::string(100, ']') + "}}]"))
                  .status,
              422);
    EXPECT_EQ(shard.post(job_to(R"([{"to":"a@x.test","meta":{"a":1e999}}])")).status, 400);
    EXPECT_EQ(
        shard.post(job_to(R"([{"to":"a@x.test","vars":{"a":)" + std::string(5000, '9') + "}}]"))
            .status,
        400);
    EXPECT_EQ(fields_of(shard.post(job_to(many))), "recipients.max@recipients");
    EXPECT_EQ(shard.post(small_job).status, 202);
    EXPECT_EQ(shard.intake.jobs.size(), 1u);
}

TEST(Messages, RefuseMetaThatReadersOfEventsCouldNotParse) {
    TestShard shard;
    for (const char* meta : {R"({"a" 1})", R"({"a":tru})", R"({"a":01})", R"({"a":1,})",
                             R"({"a":"\q"})", R"({a:1})"}) {
        EXPECT_EQ(
            shard.post(job_to(fmt::format(R"([{{"to":"a@x.test","meta":{}}}])", meta))).status, 400)
            << meta;
    }
    EXPECT_EQ(shard.post(job_to("[{\"to\":\"a@x.test\",\"meta\":{ \"a\":\n 1 }}]")).status, 202);
    EXPECT_EQ(shard.intake.jobs.begin()->second.recipients[0].meta, R"({"a":1})");
}

TEST(Messages, RenderASampleAndStoreNothingInADryRun) {
    TestShard shard;
    const auto reply = shard.post(small_job, "?dry_run=true");
    ASSERT_EQ(reply.status, 200);
    const auto answer = json::parse(reply.body);
    EXPECT_EQ(answer["dry_run"], true);
    EXPECT_NE(answer["sample"].get<std::string>().find("Subject: Hi Ann"), std::string::npos);
    EXPECT_TRUE(shard.intake.jobs.empty());
    EXPECT_EQ(shard.post(small_job, "?dryrun=true").status, 422);
}

TEST(Messages, TakeARawMessageWithParameters) {
    TestShard shard;
    const auto reply =
        shard.request("POST", "/v1/messages?from=b@s.test&to=a@x.test&to=b%2Bc@y.test&campaign=c",
                      "From: s@s.test\r\nSubject: x\r\n\r\nbody\r\n", "message/rfc822");
    ASSERT_EQ(reply.status, 202) << reply.body;
    const auto& kept = shard.intake.jobs.begin()->second;
    EXPECT_EQ(kept.job.campaign, "c");
    ASSERT_EQ(kept.recipients.size(), 2u);
    EXPECT_EQ(kept.recipients[1].address, "b+c@y.test");
    EXPECT_EQ(fields_of(shard.request("POST", "/v1/messages", "From: s@s.test\r\n\r\nx\r\n",
                                      "message/rfc822")),
              "field.required@from field.required@to");
}

TEST(Messages, AnswerARefusalWithItsLimitAndWhenToComeAgain) {
    TestShard shard;
    using Why = engine::Refusal::Why;
    for (const auto& [why, status] : {std::pair{Why::queue_full, 429},
                                      {Why::disk_low, 503},
                                      {Why::storage_failed, 503},
                                      {Why::draining, 503}}) {
        for (const bool late : {false, true}) {
            auto& place = late ? shard.intake.refuses_commit : shard.intake.refuses;
            place = engine::Refusal{why, "queue.bytes_max", "full", 30s};
            const auto reply = shard.post(small_job);
            place.reset();
            EXPECT_EQ(reply.status, status);
            EXPECT_EQ(reply.fields.at("retry-after"), "30");
            EXPECT_NE(reply.body.find("queue.bytes_max"), std::string::npos);
        }
    }
    EXPECT_TRUE(shard.intake.jobs.empty());
}

TEST(Messages, RefuseOtherMediaTypesAndEncodings) {
    TestShard shard;
    EXPECT_EQ(shard.request("POST", "/v1/messages", small_job, "text/plain").status, 415);
    EXPECT_EQ(shard.post(small_job, "", "Content-Encoding: gzip\r\n").status, 415);
    EXPECT_EQ(
        shard.request("POST", "/v1/messages", small_job, "Application/JSON; charset=utf-8").status,
        202);
}

TEST(Messages, CountWhatIsAcceptedAndRefused) {
    TestShard shard;
    shard.post(small_job);
    shard.post("{");
    EXPECT_EQ(shard.registry.counter(metrics::catalog::messages_accepted, {"http"}).value(), 1u);
    EXPECT_EQ(shard.registry.counter(metrics::catalog::ingest_rejected, {"http", "syntax"}).value(),
              1u);
}

TEST(IdempotencyKey, GivesTheSameAnswerAndStoresNothing) {
    TestShard shard;
    const auto first = shard.post(small_job, "?ids=true", "Idempotency-Key: k1\r\n");
    const auto second = shard.post(small_job, "?ids=true", "Idempotency-Key: k1\r\n");
    EXPECT_EQ(first.status, 202);
    EXPECT_EQ(second.status, 202);
    EXPECT_EQ(first.body, second.body);
    EXPECT_EQ(second.fields.at("idempotent-replay"), "true");
    EXPECT_EQ(shard.intake.jobs.size(), 1u);
}

TEST(IdempotencyKey, WithAnotherBodyIsAConflict) {
    TestShard shard;
    shard.post(small_job, "", "Idempotency-Key: k1\r\n");
    EXPECT_EQ(shard.post(job_with("\"campaign\":\"c\""), "", "Idempotency-Key: k1\r\n").status,
              409);
    EXPECT_EQ(shard.post(job_with("\"tenant\":\"t\""), "", "Idempotency-Key: k1\r\n").status, 202);
    EXPECT_EQ(shard.post(small_job, "", "Idempotency-Key: k 1\r\n").status, 422);
    EXPECT_EQ(shard.intake.jobs.size(), 2u);
}

TEST(IdempotencyKey, LetsOneOfManyRequestsAtOnceStore) {
    TestShard shard;
    shard.intake.commit_takes = 10ms;
    std::vector<std::shared_ptr<Wire>> wires;
    for (int i = 0; i < 20; ++i) {
        wires.push_back(shard.connect());
        wires.back()->to_server =
            http("POST", "/v1/messages", small_job, "application/json", "Idempotency-Key: k\r\n");
    }
    shard.reactor.advance(100ms);
    std::string body;
    for (const auto& wire : wires) {
        const auto reply = shard.replies(*wire).at(0);
        EXPECT_EQ(reply.status, 202);
        if (body.empty()) body = reply.body;
        EXPECT_EQ(reply.body, body);
    }
    EXPECT_EQ(shard.intake.jobs.size(), 1u);
}

TEST(IdempotencyKey, IsFreeAgainAfterAFailure) {
    TestShard shard;
    shard.intake.refuses_commit =
        engine::Refusal{engine::Refusal::Why::queue_full, "x", "full", 1s};
    EXPECT_EQ(shard.post(small_job, "", "Idempotency-Key: k\r\n").status, 429);
    shard.intake.refuses_commit.reset();
    EXPECT_EQ(shard.post(small_job, "", "Idempotency-Key: k\r\n").status, 202);
}

}  // namespace
}  // namespace ingest::test

#include "engine/bounce/bounce_rules.h"

#include <gmock/gmock.h>

#include <charconv>
#include <fstream>

namespace engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Verdict refused(uint16_t code, std::string enhanced, std::string text, Stage stage = Stage::rcpt) {
    return {.stage = stage, .reply = {code, std::move(enhanced), std::move(text)}};
}

std::string_view trimmed(std::string_view text) {
    const size_t from = text.find_first_not_of(' ');
    return from == std::string_view::npos
               ? std::string_view{}
               : text.substr(from, text.find_last_not_of(' ') - from + 1);
}

struct Line {
    int number = 0;
    std::string klass, mx;
    Verdict verdict;
};

/// "550 5.1.1 text" as the reply reader would give it.
Reply reply_of(std::string_view text) {
    Reply reply;
    std::from_chars(text.data(), text.data() + 3, reply.code);
    text.remove_prefix(4);
    const size_t blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    if (word.size() >= 5 && word[1] == '.' &&
        word.front() == static_cast<char>('0' + reply.code / 100) &&
        word.find_first_not_of("0123456789.") == std::string_view::npos) {
        reply.enhanced = word;
        text = blank == std::string_view::npos ? std::string_view{} : text.substr(blank + 1);
    }
    reply.text = text;
    return reply;
}

Stage stage_named(std::string_view name) {
    for (const Stage stage :
         {Stage::banner, Stage::ehlo, Stage::mail, Stage::rcpt, Stage::data, Stage::body})
        if (to_string(stage) == name) return stage;
    return Stage::none;
}

std::vector<Line> known_replies() {
    std::vector<Line> lines;
    std::ifstream in(SLUICE_SOURCE_DIR "/tests/engine/bounce/replies.txt");
    int number = 0;
    for (std::string text; std::getline(in, text);) {
        ++number;
        if (text.empty() || text.starts_with('#')) continue;
        std::vector<std::string> fields;
        std::string_view rest = text;
        for (int i = 0; i < 3; ++i) {
            const size_t bar = rest.find('|');
            fields.emplace_back(trimmed(rest.substr(0, bar)));
            rest.remove_prefix(bar + 1);
        }
        lines.push_back({number,
                         fields[0],
                         fields[1] == "-" ? "" : fields[1],
                         {.stage = stage_named(fields[2]), .reply = reply_of(trimmed(rest))}});
    }
    return lines;
}

TEST(BounceRules, SortRepliesOfTheWorldAsOperatorsExpect) {
    const BounceRules& rules = *BounceRules::built_in();
    const std::vector<Line> lines = known_replies();
    EXPECT_GE(lines.size(), 150u);
    for (const Line& line : lines) {
        const BounceRules::Finding found = rules.find(line.verdict, line.mx);
        EXPECT_EQ(to_string(found.klass), line.klass)
            << "replies.txt:" << line.number << ": " << line.verdict.reply.code << ' '
            << line.verdict.reply.enhanced << ' ' << line.verdict.reply.text << "\n  by "
            << found.by << ' '
            << (found.rule ? found.rule->place + ' ' + found.rule->expression : "");
    }
}

TEST(BounceRules, OfAProviderGoBeforeThoseForEverybody) {
    const Verdict verdict = refused(554, "", "Email rejected due to security policies");
    const BounceRules& rules = *BounceRules::built_in();
    EXPECT_EQ(rules.classify(verdict, "eu-smtp-inbound-1.mimecast.com"), BounceClass::spam_content);
    EXPECT_EQ(rules.classify(verdict, "EU-smtp-inbound-1.mimecast.com.example.org"),
              BounceClass::policy_related);
}

TEST(BounceRules, OfAnOperatorGoBeforeTheBuiltInOnes) {
    auto own = read_bounce_patterns("[[rule]]\nclass = 'throttled'\nmatch = ['no such user']\n",
                                    "own.toml");
    ASSERT_TRUE(own);
    const auto rules = BounceRules::with(std::move(*own));
    ASSERT_TRUE(rules);
    const auto found = (*rules)->find(refused(550, "5.1.1", "No Such User here"), "mx.example.com");
    EXPECT_EQ(found.klass, BounceClass::throttled);
    ASSERT_TRUE(found.rule);
    EXPECT_EQ(found.rule->place, "own.toml:3");
}

TEST(BounceRules, SayEveryMistakeOfAFileWithItsLine) {
    const auto read = read_bounce_patterns(
        "rules = 1\n"
        "[[rule]]\nclass = 'bad'\nmatch = ['x']\n"
        "[[rule]]\nclass = 'throttled'\nmatch = 'x'\n"
        "[[rule]]\nclass = 'throttled'\nmatch = []\ncolour = 1\n"
        "[[rule]]\nmatch = ['x']\n",
        "own.toml");
    ASSERT_FALSE(read);
    EXPECT_THAT(read.error(),
                ::testing::UnorderedElementsAre(HasSubstr("own.toml:1: 'rules' is not known"),
                                                HasSubstr("own.toml:3: 'class' must be one of"),
                                                HasSubstr("own.toml:7: 'match' must be a list"),
                                                HasSubstr("own.toml:10: 'match' must be a list"),
                                                HasSubstr("own.toml:11: 'colour' is not known"),
                                                HasSubstr("own.toml:12: the rule has no 'class'")));
}

TEST(BounceRules, SayWhichExpressionCannotBeRead) {
    auto own = read_bounce_patterns("[[rule]]\nclass = 'throttled'\nmatch = ['fine', '(open']\n",
                                    "own.toml");
    ASSERT_TRUE(own);
    const auto rules = BounceRules::with(std::move(*own));
    ASSERT_FALSE(rules);
    EXPECT_THAT(rules.error(), ElementsAre(HasSubstr("own.toml:3: '(open' is not an expression")));
}

TEST(BounceRules, SayWhereAFileIsNoToml) {
    const auto read = read_bounce_patterns("[[rule]\n", "own.toml");
    ASSERT_FALSE(read);
    EXPECT_THAT(read.error(), ElementsAre(HasSubstr("own.toml:1")));
}

TEST(BounceRules, GoByWhatWentWrongWhereNoReplyCame) {
    const BounceRules& rules = *BounceRules::built_in();
    const auto of = [&](Failure failure) {
        return rules.classify(
            {.stage = Stage::connect, .reply = {.text = "spam"}, .failure = failure}, "");
    };
    EXPECT_EQ(of(Failure::refused), BounceClass::no_answer_from_host);
    EXPECT_EQ(of(Failure::cut), BounceClass::bad_connection);
    EXPECT_EQ(of(Failure::garbage), BounceClass::protocol_errors);
    EXPECT_EQ(of(Failure::null_mx), BounceClass::bad_domain);
    EXPECT_EQ(of(Failure::dns_failed), BounceClass::dns_failure);
    EXPECT_EQ(of(Failure::cannot_carry), BounceClass::content_related);
}

TEST(BounceRules, LookAtTheStartOfAVeryLongReplyOnly) {
    std::string text(BounceRules::reply_octets_max, 'x');
    text += " user unknown";
    EXPECT_EQ(BounceRules::built_in()->classify(refused(550, "5.7.1", std::move(text)), ""),
              BounceClass::policy_related);
}

TEST(BounceRules, TakeAnyOctets) {
    std::string text = "user unknown ";
    for (int octet = 0; octet < 256; ++octet) text.push_back(static_cast<char>(octet));
    EXPECT_EQ(BounceRules::built_in()->classify(refused(550, "", std::move(text)), ""),
              BounceClass::invalid_recipient);
}

TEST(BounceClasses, HaveNamesThatReadBack) {
    for (size_t i = 0; i < bounce_class_count; ++i) {
        const auto klass = static_cast<BounceClass>(i);
        EXPECT_EQ(parse_bounce_class(to_string(klass)), klass);
        EXPECT_FALSE(to_string(kind_of(klass)).empty());
    }
    EXPECT_EQ(parse_bounce_class("bad_mailbox"), std::nullopt);
    EXPECT_EQ(to_string(kind_of(BounceClass::invalid_recipient)), "hard");
}

}  // namespace
}  // namespace engine

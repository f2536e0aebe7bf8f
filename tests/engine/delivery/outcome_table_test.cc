#include "engine/delivery/outcome_table.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace engine {
namespace {

using Kind = Verdict::Kind;

std::string_view row_of(const Verdict& verdict) {
    return outcome_row(verdict).name;
}

Verdict said(Stage stage, uint16_t code, std::string enhanced = {}, std::string text = "so") {
    return {.kind = code < 300   ? Kind::delivered
                    : code < 500 ? Kind::deferred
                                 : Kind::bounced,
            .stage = stage,
            .reply = {code, std::move(enhanced), std::move(text)}};
}

TEST(OutcomeTable, HasARowForEverythingAndEachRowCanBeReached) {
    std::set<std::string_view> reached;
    for (unsigned stage = 0; stage <= static_cast<unsigned>(Stage::body); ++stage)
        for (unsigned failure = 0; failure <= static_cast<unsigned>(Failure::content_lost);
             ++failure)
            for (const uint16_t code : {0, 199, 250, 354, 421, 450, 500, 521, 554})
                for (const Kind kind : {Kind::delivered, Kind::deferred, Kind::untried})
                    for (const bool in_doubt : {false, true})
                        reached.insert(row_of({.kind = kind,
                                               .stage = static_cast<Stage>(stage),
                                               .reply = {code, "", ""},
                                               .in_doubt = in_doubt,
                                               .failure = static_cast<Failure>(failure)}));
    for (const OutcomeRow& row : outcome_table())
        EXPECT_TRUE(reached.contains(row.name)) << row.name << " is never the first that fits";
}

TEST(OutcomeTable, SaysWhatFollows) {
    EXPECT_EQ(final_course(said(Stage::body, 250)), Course::taken);
    EXPECT_EQ(final_course(said(Stage::rcpt, 550)), Course::bounce);
    EXPECT_EQ(final_course(said(Stage::rcpt, 450)), Course::later);
    EXPECT_EQ(final_course(said(Stage::body, 552)), Course::bounce);
    EXPECT_EQ(row_of(said(Stage::body, 552)), "content_refused");
    EXPECT_EQ(outcome_row(said(Stage::banner, 554)).course, Course::next_host);
    EXPECT_EQ(final_course({.stage = Stage::banner, .reply = {554, "", ""}}), Course::later);
    EXPECT_EQ(outcome_row(said(Stage::banner, 521)).at_last, Course::bounce);
}

TEST(OutcomeTable, NeverBouncesWhatNoReplyHasRefused) {
    for (const Failure failure :
         {Failure::timeout, Failure::closed, Failure::cut, Failure::garbage, Failure::out_of_step,
          Failure::end_of_connection, Failure::no_tls, Failure::tls_failed, Failure::tls_untrusted,
          Failure::no_credentials})
        for (const Stage stage : {Stage::connect, Stage::banner, Stage::ehlo, Stage::tls,
                                  Stage::mail, Stage::rcpt, Stage::data, Stage::body})
            for (const bool in_doubt : {false, true}) {
                const Verdict verdict{.stage = stage, .in_doubt = in_doubt, .failure = failure};
                EXPECT_EQ(final_course(verdict), Course::later) << row_of(verdict);
            }
}

TEST(OutcomeTable, TellsDnsFailuresApart) {
    using Why = NoRoute::Why;
    const auto kind = [](Why why) { return verdict_of(NoRoute{.why = why, .code = 550}).kind; };
    EXPECT_EQ(kind(Why::failed), Kind::deferred);
    for (const Why why : {Why::no_domain, Why::null_mx, Why::no_address, Why::address_refused,
                          Why::own_host, Why::bad_name})
        EXPECT_EQ(kind(why), Kind::bounced);
}

TEST(OutcomeTable, TellsFailedDialsApart) {
    const auto row = [](Errc code) { return row_of(verdict_of_dial({code, 0, "so"})); };
    EXPECT_EQ(row(Errc::refused), "connection_refused");
    EXPECT_EQ(row(Errc::timeout), "connect_timeout");
    EXPECT_EQ(row(Errc::unreachable), "unreachable");
    EXPECT_EQ(row(Errc::system), "unreachable");
}

TEST(OutcomeTable, TriesAgainWhatNobodyHasJudged) {
    for (const Failure failure : {Failure::none, Failure::closed, Failure::transaction_full})
        EXPECT_EQ(
            outcome_row({.kind = Kind::untried, .stage = Stage::mail, .failure = failure}).course,
            Course::again);
    // When that has run out, it waits for its turn.
    EXPECT_EQ(final_course({.kind = Kind::untried, .stage = Stage::mail}), Course::later);
}

TEST(OutcomeTable, SlowsASiteForAComplaintButNotForOneMailbox) {
    const Verdict complaint = said(Stage::mail, 450, "4.7.1");
    EXPECT_TRUE(slows_site(complaint, BounceClass::throttled));
    EXPECT_FALSE(slows_site(complaint, BounceClass::greylisted));
    EXPECT_FALSE(slows_site(said(Stage::rcpt, 450, "4.2.1"), BounceClass::throttled));
    EXPECT_FALSE(slows_site(said(Stage::rcpt, 550, "5.7.1"), BounceClass::throttled));
}

// --- the table in the README is made from the code, so it cannot lie

std::string table_as_markdown() {
    std::string table =
        "| row | when | what follows | the site | because | shown by "
        "|\n|---|---|---|---|---|---|\n";
    for (const OutcomeRow& row : outcome_table()) {
        std::string follows(to_string(row.course));
        if (row.course == Course::next_host)
            follows.append(", at last ").append(to_string(row.at_last));
        std::string shown;
        std::istringstream words{std::string(row.shown_by)};
        for (std::string word; words >> word;) {
            if (word.starts_with("test_")) word.erase(0, 5);
            if (word.ends_with(".smtp")) word.resize(word.size() - 5);
            shown.append(shown.empty() ? "" : ", ").append(word);
        }
        table += fmt::format("| {} | {} | {} | {} | {} | {} |\n", row.name, row.when, follows,
                             to_string(row.pace), row.why, shown);
    }
    return table;
}

std::string content_of(const std::filesystem::path& path) {
    std::ifstream in(path);
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
}

TEST(OutcomeTable, StandsInTheReadmeAsItIs) {
    const std::filesystem::path path = SLUICE_SOURCE_DIR "/engine/delivery/README.md";
    const std::string begin = "<!-- outcome table: made by test_engine_delivery -->\n";
    const std::string end = "<!-- end of the outcome table -->\n";
    std::string readme = content_of(path);
    const size_t from = readme.find(begin), to = readme.find(end);
    ASSERT_NE(from, std::string::npos);
    ASSERT_NE(to, std::string::npos);
    const size_t table = from + begin.size();
    if (std::getenv("WRITE_OUTCOME_TABLE")) {
        readme.replace(table, to - table, table_as_markdown());
        std::ofstream(path) << readme;
    } else {
        EXPECT_EQ(readme.substr(table, to - table), table_as_markdown())
            << "run test_engine_delivery with WRITE_OUTCOME_TABLE=1 to write it anew";
    }
}

TEST(OutcomeTable, NamesScriptsAndCasesThatExist) {
    namespace fs = std::filesystem;
    std::string cases;
    for (const auto& entry : fs::recursive_directory_iterator(SLUICE_SOURCE_DIR "/tests"))
        if (entry.path().extension() == ".py" || entry.path().extension() == ".cc")
            cases += content_of(entry.path());
    for (const OutcomeRow& row : outcome_table()) {
        EXPECT_NE(row.shown_by, "") << row.name;
        std::istringstream words{std::string(row.shown_by)};
        for (std::string word; words >> word;) {
            const size_t dot = word.find('.');
            if (word.ends_with(".smtp")) {
                EXPECT_TRUE(fs::exists(SLUICE_SOURCE_DIR "/tests/engine/smtp/scripts/" + word))
                    << word;
                continue;
            }
            const std::string title =
                dot == std::string::npos
                    ? "def " + word + "("
                    : "TEST(" + word.substr(0, dot) + ", " + word.substr(dot + 1) + ")";
            EXPECT_TRUE(cases.contains(title)) << word;
        }
    }
}

}  // namespace
}  // namespace engine

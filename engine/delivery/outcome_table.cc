#include "engine/delivery/outcome_table.h"

#include <iterator>

namespace engine {

namespace {

using enum Course;
using enum Pace;
using Only = OutcomeRow::Only;

template <class... Values>
constexpr uint32_t of(Values... values) {
    return ((1u << static_cast<unsigned>(values)) | ...);
}

constexpr uint32_t any = 0;
constexpr uint32_t dns = of(Stage::dns);
constexpr uint32_t envelope = of(Stage::mail, Stage::rcpt, Stage::data);
constexpr uint32_t said = of(Failure::none);
constexpr uint32_t lost =
    of(Failure::timeout, Failure::closed, Failure::cut, Failure::garbage, Failure::out_of_step);

constexpr OutcomeRow rows[] = {
    {"taken", any, any, 0, 999, Only::delivered, taken, taken, same, "2yz to the content",
     "it is theirs now (RFC 5321 4.2.5)",
     "plain_one_recipient.smtp test_a_delivered_mail_is_told_with_host_address_and_reply"},

    // --- no host yet
    {"no_such_domain", dns, of(Failure::no_domain), 0, 999, Only::any, next_host, bounce, same,
     "NXDOMAIN", "an answer, and a final one (RFC 5321 5.1)",
     "test_a_domain_that_does_not_exist_bounces_at_once"},
    {"null_mx", dns, of(Failure::null_mx), 0, 999, Only::any, next_host, bounce, same, "null MX",
     "the domain says that it takes no mail (RFC 7505)", "test_a_null_mx_bounces_at_once"},
    {"bad_name", dns, of(Failure::bad_name), 0, 999, Only::any, next_host, bounce, same,
     "what should be a domain or a host is none", "nobody can ever be asked for it",
     "OutcomeTable.TellsDnsFailuresApart"},
    {"own_host", dns, of(Failure::own_host), 0, 999, Only::any, next_host, bounce, same,
     "the best MX is this host", "mail would loop (RFC 5321 5.1)",
     "test_a_domain_whose_best_host_is_this_one_bounces"},
    {"no_address", dns, of(Failure::no_address), 0, 999, Only::any, next_host, bounce, same,
     "a mail host without an address", "an answer, and a final one",
     "test_mail_hosts_without_addresses_bounce"},
    {"address_refused", dns, of(Failure::address_refused), 0, 999, Only::any, next_host, bounce,
     same, "only addresses that policy forbids (loopback, private)",
     "whoever publishes them shall not steer us into our own network",
     "test_no_connection_is_made_to_a_loopback_address"},
    {"dns_failed", dns, of(Failure::dns_failed), 0, 999, Only::any, next_host, later, same,
     "SERVFAIL, REFUSED, no answer", "no answer is no statement about the domain",
     "test_a_domain_whose_dns_fails_is_deferred"},

    // --- connecting
    {"connection_refused", of(Stage::connect), of(Failure::refused), 0, 999, Only::any, next_host,
     later, no_new_connections, "nobody listens there", "a restart, or a host that is gone",
     "test_a_domain_whose_only_host_is_down_is_deferred_and_expires"},
    {"connect_timeout", of(Stage::connect), of(Failure::no_answer), 0, 999, Only::any, next_host,
     later, no_new_connections, "no connection in time", "a firewall or a host that is down",
     "test_a_host_that_does_not_answer_is_deferred"},
    {"unreachable", of(Stage::connect), any, 0, 999, Only::any, next_host, later,
     no_new_connections, "no way there, or cut at once", "networks come back",
     "OutcomeTable.TellsFailedDialsApart"},

    // --- greeting
    {"takes_no_mail", of(Stage::banner), said, 521, 521, Only::any, next_host, bounce,
     no_new_connections, "521 as the banner", "the host never takes mail (RFC 7504)",
     "test_hosts_that_take_no_mail_bounce_once_all_have_said_so"},
    {"banner_refused", of(Stage::banner), said, 500, 599, Only::any, next_host, later,
     no_new_connections, "554 or another 5yz as the banner",
     "about us, not about the mail; blocks are lifted, and it expires if not",
     "test_a_5yz_banner_means_the_next_host banner_554.smtp"},
    {"banner_later", of(Stage::banner), any, 400, 499, Only::any, next_host, later,
     no_new_connections, "421 or another 4yz as the banner", "busy: its neighbour may not be",
     "test_a_4yz_banner_means_the_next_host banner_421.smtp"},
    {"banner_lost", of(Stage::banner), any, 0, 999, Only::any, next_host, later, no_new_connections,
     "silence, a close or garbage in place of the banner", "nothing was said about the mail",
     "banner_silence.smtp banner_closed.smtp banner_is_ssh.smtp"},
    {"ehlo_refused", of(Stage::ehlo), any, 400, 599, Only::any, next_host, later,
     no_new_connections, "4yz or 5yz to EHLO and HELO", "about our name, not about the mail",
     "ehlo_refused_by_policy.smtp ehlo_421.smtp"},
    {"ehlo_lost", of(Stage::ehlo), any, 0, 999, Only::any, next_host, later, no_new_connections,
     "silence, a close or garbage in place of the reply to EHLO", "nothing was said about the mail",
     "ehlo_then_closed.smtp"},
    {"tls_not_had", of(Stage::tls),
     of(Failure::no_tls, Failure::tls_failed, Failure::tls_untrusted, Failure::policy_unknown), 0,
     999, Only::any, next_host, later, no_new_connections,
     "STARTTLS missing, refused, failed or not verified, where it is demanded",
     "never in the clear; certificates get mended (RFC 7672, 8461)",
     "OutcomeTable.NeverBouncesWhatNoReplyHasRefused"},
    {"no_tls_at_last", of(Stage::tls), any, 0, 999, Only::any, next_host, later, no_new_connections,
     "the connection was lost around STARTTLS", "as above",
     "OutcomeTable.NeverBouncesWhatNoReplyHasRefused"},
    {"login_failed", any, of(Failure::no_credentials), 0, 999, Only::any, next_host, later,
     no_new_connections, "a relay refuses our AUTH", "an operator can mend that",
     "OutcomeTable.NeverBouncesWhatNoReplyHasRefused"},

    // --- before the dialogue
    {"content_lost", any, of(Failure::content_lost), 0, 999, Only::any, later, later, same,
     "the store cannot give the content", "an operator can mend that: a backup",
     "Outcomes.AContentThatIsLostIsDeferred"},
    {"cannot_carry", any, of(Failure::cannot_carry), 0, 999, Only::any, bounce, bounce, same,
     "larger than SIZE, or without an extension that the mail needs (8BITMIME, SMTPUTF8)",
     "nothing was sent; it would be the same next time (RFC 1870 6.1, 6531 3.5)",
     "size_too_large.smtp utf8_address_not_offered.smtp"},

    // --- the dialogue
    {"answer_lost", any, any, 0, 999, Only::in_doubt, later, later, same,
     "cut, silent or out of step between the end of the content and its reply",
     "in doubt: the next attempt may make a duplicate, none would lose it (RFC 1047)",
     "content_no_answer_closed.smtp content_no_answer_timeout.smtp content_answer_is_garbage.smtp"},
    {"connection_ended", any, of(Failure::end_of_connection), 0, 999, Only::untried, again, again,
     slower_if_throttled, "421, or \"too many messages\", on a connection that was used before",
     "about the connection: the mail goes on another one",
     "mail_421_reused.smtp rcpt_421_reused.smtp mail_452_too_many_messages.smtp rset_refused.smtp"},
    {"connection_refused_work", any, of(Failure::end_of_connection), 0, 999, Only::any, later,
     later, slower_if_throttled, "421 on a fresh connection, or to the content",
     "counted, or a host that says so to everybody would be asked without a pause",
     "mail_421_fresh.smtp data_421_fresh.smtp content_421.smtp"},
    {"transaction_full", of(Stage::rcpt), of(Failure::transaction_full), 0, 999, Only::any, again,
     again, same, "452 (or x.5.3) behind an accepted recipient",
     "the transaction is full; the rest goes in the next (RFC 5321 4.5.3.1.10)",
     "rcpt_452_too_many.smtp"},
    {"lost_before_seen", any, lost, 0, 999, Only::untried, again, again, same,
     "the connection was closed between two mails", "the host has not seen this one",
     "cut_before_mail_reused.smtp envelope_write_fails_reused.smtp"},
    {"not_judged", any, any, 0, 999, Only::untried, again, again, same,
     "other ends of a connection before a mail was judged", "nobody has judged it",
     "OutcomeTable.TriesAgainWhatNobodyHasJudged"},
    {"lost_its_way", any, of(Failure::dialogue), 0, 999, Only::any, again, again, same,
     "500 to 503 inside a pipelined group, or 5yz to DATA there",
     "about the dialogue: once more, one command at a time",
     "mail_503_in_group_is_no_bounce.smtp rcpt_501_in_group_is_no_bounce.smtp "
     "data_refused_in_group.smtp"},
    {"out_of_step", any, of(Failure::out_of_step, Failure::garbage), 0, 999, Only::any, later,
     later, same, "a reply to nothing, a code out of place, or what is no reply",
     "never a success and never a refusal",
     "reply_out_of_place_mail_354.smtp reply_out_of_place_data_250.smtp reply_is_http.smtp"},
    {"envelope_lost", envelope, lost, 0, 999, Only::any, later, later, same,
     "cut or silent before the content", "as 451 (RFC 5321 3.8)",
     "rcpt_then_cut.smtp rcpt_timeout.smtp data_then_cut.smtp cut_before_mail_fresh.smtp"},
    {"content_cut", of(Stage::body), lost, 0, 999, Only::any, later, later, same,
     "cut while the content was written", "the final dot never left, so there is no doubt",
     "content_write_fails_without_reply.smtp"},
    {"mail_later", of(Stage::mail), said, 400, 499, Only::any, later, later, slower_if_throttled,
     "4yz to MAIL", "try again later", "mail_452_fresh_is_a_deferral.smtp"},
    {"rcpt_later", of(Stage::rcpt), said, 400, 499, Only::any, later, later, slower_if_throttled,
     "4yz to RCPT: greylisting, a full mailbox, a rate", "that recipient; the others go on",
     "rcpt_452_mailbox_full_and_first.smtp one_deferred_rcpt_lock_step.smtp "
     "test_a_greylisted_recipient_gets_its_mail_on_the_third_try"},
    {"data_later", of(Stage::data), said, 400, 499, Only::any, later, later, slower_if_throttled,
     "4yz to DATA", "try again later", "data_deferred_in_group.smtp"},
    {"content_later", of(Stage::body), said, 400, 499, Only::any, later, later, slower_if_throttled,
     "4yz to the content", "try again later; ours until 250", "content_deferred.smtp"},
    {"mail_refused", of(Stage::mail), said, 500, 599, Only::any, bounce, bounce, same,
     "5yz to MAIL", "for all its recipients", "mail_refused_for_good.smtp"},
    {"rcpt_refused", of(Stage::rcpt), said, 500, 599, Only::any, bounce, bounce, same,
     "5yz to RCPT", "that recipient; the others go on (RFC 5321 3.3)",
     "one_bad_rcpt.smtp test_a_recipient_that_is_refused_bounces_at_once"},
    {"data_refused", of(Stage::data), said, 500, 599, Only::any, bounce, bounce, same,
     "5yz to DATA, said in lock-step", "the host has understood and does not want it",
     "data_refused_in_lock_step.smtp"},
    {"content_refused", of(Stage::body), said, 500, 599, Only::any, bounce, bounce, same,
     "5yz to the content", "no second try (RFC 5321 4.2.5)",
     "content_refused_for_good.smtp test_content_that_is_refused_bounces_with_its_stage"},
    {"anything_else", any, any, 0, 999, Only::any, later, later, same, "anything else",
     "what we do not understand is no reason to give up",
     "OutcomeTable.HasARowForEverythingAndEachRowCanBeReached"},
};

bool fits(const OutcomeRow& row, const Verdict& verdict) {
    if (row.stages != any && (row.stages & of(verdict.stage)) == 0) return false;
    if (row.failures != any && (row.failures & of(verdict.failure)) == 0) return false;
    if (verdict.reply.code < row.code_min || verdict.reply.code > row.code_max) return false;
    if (row.only == Only::delivered) return verdict.kind == Verdict::Kind::delivered;
    if (row.only == Only::untried) return verdict.kind == Verdict::Kind::untried;
    if (row.only == Only::in_doubt) return verdict.in_doubt;
    return true;
}

Failure failure_of(NoRoute::Why why) {
    switch (why) {
        case NoRoute::Why::failed:
            return Failure::dns_failed;
        case NoRoute::Why::no_domain:
            return Failure::no_domain;
        case NoRoute::Why::null_mx:
            return Failure::null_mx;
        case NoRoute::Why::no_address:
            return Failure::no_address;
        case NoRoute::Why::address_refused:
            return Failure::address_refused;
        case NoRoute::Why::own_host:
            return Failure::own_host;
        case NoRoute::Why::bad_name:
            return Failure::bad_name;
    }
    return Failure::dns_failed;
}

}  // namespace

std::string_view to_string(Course course) {
    switch (course) {
        case taken:
            return "taken";
        case again:
            return "again at once";
        case next_host:
            return "next host";
        case later:
            return "later";
        case bounce:
            return "bounce";
    }
    return "";
}

std::string_view to_string(Pace pace) {
    switch (pace) {
        case same:
            return "";
        case slower_if_throttled:
            return "slower, when throttled";
        case no_new_connections:
            return "no new connections for 1 to 60 s";
    }
    return "";
}

std::span<const OutcomeRow> outcome_table() {
    return rows;
}

const OutcomeRow& outcome_row(const Verdict& verdict) {
    for (const OutcomeRow& row : rows)
        if (fits(row, verdict)) return row;
    return *std::prev(std::end(rows));
}

Course final_course(const Verdict& verdict) {
    const OutcomeRow& row = outcome_row(verdict);
    switch (row.course) {
        case taken:
        case bounce:
            return row.course;
        case next_host:  // whoever asked all hosts has put down what they say together
            return verdict.kind == Verdict::Kind::bounced ? bounce : later;
        case again:
        case later:
            break;
    }
    return later;
}

bool slows_site(const Verdict& verdict, BounceClass klass) {
    return klass == BounceClass::throttled && outcome_row(verdict).pace == slower_if_throttled &&
           !verdict.reply.enhanced.starts_with("4.2.");
}

Verdict verdict_of(const NoRoute& why) {
    Verdict verdict{.stage = Stage::dns,
                    .reply = {why.code, why.enhanced, why.reason},
                    .failure = failure_of(why.why)};
    if (outcome_row(verdict).at_last == bounce) verdict.kind = Verdict::Kind::bounced;
    return verdict;
}

Verdict verdict_of_dial(const Error& error) {
    Verdict verdict{.stage = Stage::connect};
    switch (error.code) {
        case Errc::timeout:
            verdict.failure = Failure::no_answer;
            verdict.reply.text = "no connection within the connect timeout";
            return verdict;
        case Errc::refused:
            verdict.failure = Failure::refused;
            break;
        default:
            verdict.failure = Failure::unreachable;
    }
    verdict.reply.text = std::string("connection failed: ") + error.what;
    return verdict;
}

}  // namespace engine

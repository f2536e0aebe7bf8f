#include "engine/smtp/transaction.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "metrics/check.h"

namespace engine {

namespace {

constexpr uint16_t service_closing = 421;

/// "Go on" where the dialogue goes on: 2yz, but not the codes that have a meaning elsewhere only.
/// They show that the host answers something else than we asked (a 221 in particular must never
/// count as a delivery).
bool says_yes(const Reply& reply) {
    constexpr uint16_t elsewhere[] = {211, 214, 220, 221, 235};
    return reply.positive() && std::ranges::find(elsewhere, reply.code) == std::end(elsewhere);
}

bool says_no(const Reply& reply) {
    return reply.transient() || reply.permanent();
}

bool mentions(std::string_view text, std::string_view words) {
    const auto same = [](char a, char b) { return (a | 0x20) == (b | 0x20); };
    return std::ranges::search(text, words, same).begin() != text.end();
}

/// Refusals of MAIL that a new connection cures: OpenSMTPD's "452 4.5.3 Too many messages sent",
/// Exim's and Postfix's limits per connection and per time.
bool is_connection_limit(const Reply& reply) {
    if (reply.code == service_closing) return true;
    if (reply.code < 450 || reply.code > 452) return false;
    return reply.enhanced == "4.5.3" || mentions(reply.text, "too many") ||
           mentions(reply.text, "per connection") || mentions(reply.text, "per session") ||
           mentions(reply.text, "rate limit");
}

/// 452 is also "mailbox full" (4.2.2) and "disk full" (4.3.1): only without an enhanced code, or
/// with the one that says so, does it mean that the transaction is full (RFC 5321 4.5.3.1.10; 552
/// there too).
bool is_too_many_recipients(const Reply& reply) {
    if (reply.code == 452) return reply.enhanced.empty() || reply.enhanced == "4.5.3";
    return says_no(reply) && reply.enhanced.ends_with(".5.3");
}

/// Syntax and sequence errors: the host did not understand, so it has not judged. A 501 5.1.z has
/// read the address and rejects it.
bool is_about_the_dialogue(const Reply& reply) {
    if (reply.code == 501 && reply.enhanced.starts_with("5.1.")) return false;
    return reply.code >= 500 && reply.code <= 503;
}

Verdict::Kind kind_of(const Reply& reply) {
    return reply.permanent() ? Verdict::Kind::bounced : Verdict::Kind::deferred;
}

}  // namespace

Stage stage_of(Step step) {
    switch (step) {
        case Step::reset:
        case Step::mail:
            return Stage::mail;
        case Step::rcpt:
            return Stage::rcpt;
        case Step::data:
            return Stage::data;
        case Step::content:
            return Stage::body;
    }
    return Stage::none;
}

Transaction::Transaction(size_t recipients, Pace pace, Connection connection, ContentBy content_by)
    : recipients_(recipients, Recipient::asked),
      verdicts_(recipients),
      pace_(pace),
      connection_(connection),
      content_by_(content_by) {}

void Transaction::take(Step step, const Reply& reply) {
    CHECK(!broken_ || pace_ == Pace::whole, "a reply was taken after the end of the connection");
    switch (step) {
        case Step::reset:
            return take_reset(reply);
        case Step::mail:
            return take_mail(reply);
        case Step::rcpt:
            return take_rcpt(reply);
        case Step::data:
            return take_data(reply);
        case Step::content:
            return take_content(reply);
    }
}

/// A refused RSET (Exim gives 554 when it has seen too many) says nothing about this mail. Where
/// the content is out already it may be the reply to a line of an earlier content that the host
/// took for a command (seen at go-smtp): then no reply behind it can be trusted.
void Transaction::take_reset(const Reply& reply) {
    if (says_yes(reply)) return;
    const bool goodbye = reply.code == service_closing || mentions(reply.text, "too many");
    if (pace_ == Pace::whole && !goodbye) return out_of_step(Step::reset, reply);
    if (pace_ != Pace::whole) end_of_connection(Step::reset, reply);
    broken_ = true;
    host_leaves_ = goodbye;
}

void Transaction::take_mail(const Reply& reply) {
    if (says_yes(reply)) {
        mail_ok_ = open_ = true;
    } else if (!says_no(reply)) {
        out_of_step(Step::mail, reply);
    } else if (reply.code == service_closing || host_leaves_ ||
               (is_connection_limit(reply) && connection_ == Connection::reused)) {
        end_of_connection(Step::mail, reply);
    } else if (pace_ == Pace::whole && is_about_the_dialogue(reply)) {
        out_of_step(Step::mail, reply);
    } else if (pace_ == Pace::grouped && is_about_the_dialogue(reply)) {
        not_in_a_group(Step::mail, reply);
    } else {
        // Unless that was the reply to something before, and the host has this mail open: the next
        // one's recipients would be added to it (seed 1000569 of tests/sim).
        open_ = true;
        settle_all(kind_of(reply), Step::mail, reply);
    }
}

void Transaction::take_rcpt(const Reply& reply) {
    CHECK(next_rcpt_ < recipients_.size(), "more replies to RCPT than commands");
    const size_t recipient = next_rcpt_++;
    if (!says_yes(reply) && !says_no(reply)) return out_of_step(Step::rcpt, reply);
    if (reply.code == service_closing && pace_ != Pace::whole)
        return end_of_connection(Step::rcpt, reply);
    if (!mail_ok_) return;  // noise behind the refused MAIL
    if (says_yes(reply)) {
        recipients_[recipient] = Recipient::accepted;
        ++accepted_;
    } else if (reply.code == service_closing || host_leaves_) {
        broken_ = host_leaves_ = true;
        settle(recipient,
               {kind_at_the_end(), Stage::rcpt, reply, false, Failure::end_of_connection});
    } else if (accepted_ > 0 && is_too_many_recipients(reply)) {
        if (full_at_ == 0) full_at_ = accepted_;
        settle(recipient,
               {Verdict::Kind::untried, Stage::rcpt, reply, false, Failure::transaction_full});
    } else if (pace_ != Pace::lock_step && is_about_the_dialogue(reply)) {
        if (pace_ != Pace::whole) return not_in_a_group(Step::rcpt, reply);
        // The others' content is out: its reply decides about them.
        broken_ = lock_step_ = true;
        settle(recipient, {Verdict::Kind::deferred, Stage::rcpt, reply, false, Failure::dialogue});
    } else {
        settle(recipient, {kind_of(reply), Stage::rcpt, reply});
    }
}

void Transaction::take_data(const Reply& reply) {
    if (reply.code >= 300 && reply.code < 400) {
        content_due_ = true;
    } else if (reply.code == service_closing) {
        end_of_connection(Step::data, reply);
    } else if (!says_no(reply)) {
        out_of_step(Step::data, reply);
    } else if (accepted_ == 0) {
        return;  // noise: there was nobody to send to
    } else if (pace_ == Pace::grouped && reply.permanent()) {
        not_in_a_group(Step::data, reply);
    } else {
        settle_all(kind_of(reply), Step::data, reply);
    }
}

void Transaction::take_content(const Reply& reply) {
    content_due_ = false;
    if (!says_yes(reply) && !says_no(reply)) return out_of_step(Step::content, reply);
    // Whatever was said, the end of the content ends the transaction; but a refused BDAT may have
    // left it open (Exim does).
    open_ = content_by_ == ContentBy::chunk && says_no(reply);
    // A success for octets that never left is none.
    if (says_yes(reply) && !content_out_) return out_of_step(Step::content, reply);
    content_out_ = false;
    if (says_yes(reply)) {
        if (accepted_ == 0 && pace_ == Pace::whole) return taken_unasked(reply);
        return settle_all(Verdict::Kind::delivered, Step::content, reply);
    }
    if (reply.code == service_closing || host_leaves_) {
        broken_ = host_leaves_ = true;
        // A 421 to the content is a definite no of its own, and a try.
        const auto kind =
            reply.code == service_closing ? Verdict::Kind::deferred : kind_at_the_end();
        return settle_all(kind, Step::content, reply, Failure::end_of_connection);
    }
    if (content_by_ == ContentBy::chunk && accepted_ > 0 &&
        (is_about_the_dialogue(reply) || reply.code == 504))
        return not_in_a_group(Step::content, reply);
    settle_all(kind_of(reply), Step::content, reply);
}

/// The content was taken although MAIL or every RCPT was refused: it is kept, and under whose name
/// nobody knows (seen at Exim when a transaction was left open).
void Transaction::taken_unasked(const Reply& reply) {
    broken_ = lost_its_way_ = true;
    if (mail_ok_) return;  // each recipient was refused for itself: that stands
    for (Verdict& verdict : verdicts_) {
        verdict = {Verdict::Kind::deferred,
                   Stage::body,
                   {.text = "the host refused MAIL and then took the content: " + reply.text},
                   true,
                   Failure::out_of_step};
    }
}

void Transaction::lost(Step waiting_for, Error why) {
    broken_ = true;
    // On a reused connection the host may have closed before it saw anything of this mail. One that
    // goes on and ends it before the content goes again at once, too; one that falls silent at a
    // recipient is left alone for a time.
    const bool cut =
        why.code != Errc::timeout && why.code != Errc::protocol && waiting_for != Step::content;
    const bool unseen = waiting_for == Step::reset || waiting_for == Step::mail;
    const bool again = host_leaves_ || unseen || cut;
    nothing_more(again ? kind_at_the_end() : Verdict::Kind::deferred, waiting_for,
                 std::move(why.what), failure_of(why.code));
}

void Transaction::dismissed(const Reply& goodbye) {
    broken_ = host_leaves_ = true;
    settle_all(kind_at_the_end(), Step::mail, goodbye, Failure::end_of_connection);
}

/// No reply will come. Content that went out whole may have been taken.
void Transaction::nothing_more(Verdict::Kind kind, Step step, std::string what, Failure failure) {
    const bool in_doubt = content_out_ && !host_leaves_;
    if (in_doubt) kind = Verdict::Kind::deferred;
    const Reply reply{.text = std::move(what)};
    for (size_t i = 0; i < recipients_.size(); ++i)
        settle(i, {kind, stage_of(step), reply, in_doubt, failure});
    accepted_ = 0;
}

bool Transaction::wants(Step step) const {
    if (broken_) return false;
    switch (step) {
        case Step::reset:
        case Step::mail:
            return true;
        case Step::rcpt:
            return mail_ok_;
        case Step::data:
            return accepted_ > 0;
        case Step::content:
            return content_by_ == ContentBy::data ? content_due_ : accepted_ > 0;
    }
    return false;
}

void Transaction::settle_all(Verdict::Kind kind, Step step, const Reply& reply, Failure failure) {
    for (size_t i = 0; i < recipients_.size(); ++i)
        settle(i, {kind, stage_of(step), reply, false, failure});
    accepted_ = 0;
}

void Transaction::settle(size_t recipient, Verdict verdict) {
    if (recipients_[recipient] == Recipient::settled) return;
    recipients_[recipient] = Recipient::settled;
    verdicts_[recipient] = std::move(verdict);
}

/// The host ends the connection, not the mail. On a fresh one it counts as an attempt all the same:
/// a host that greets everybody with 421 would else be asked again without a pause.
Verdict::Kind Transaction::kind_at_the_end() const {
    return connection_ == Connection::reused ? Verdict::Kind::untried : Verdict::Kind::deferred;
}

void Transaction::end_of_connection(Step step, const Reply& reply) {
    broken_ = host_leaves_ = true;
    settle_all(kind_at_the_end(), step, reply, Failure::end_of_connection);
}

void Transaction::out_of_step(Step step, const Reply& reply) {
    broken_ = lost_its_way_ = true;
    std::string what = "the host is out of step: it answered " + std::to_string(reply.code);
    what.append(" to ").append(name_of(step));
    if (!reply.text.empty()) what.append(" (").append(reply.text).append(")");
    nothing_more(Verdict::Kind::deferred, step, std::move(what), Failure::out_of_step);
}

void Transaction::not_in_a_group(Step step, const Reply& reply) {
    broken_ = lock_step_ = true;
    settle_all(Verdict::Kind::deferred, step, reply, Failure::dialogue);
}

Outcome Transaction::outcome() && {
    CHECK(std::ranges::all_of(recipients_, [](Recipient r) { return r == Recipient::settled; }),
          "a recipient has no verdict");
    return {
        .verdicts = std::move(verdicts_), .connection_usable = !broken_, .lock_step = lock_step_};
}

}  // namespace engine

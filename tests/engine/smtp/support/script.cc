#include "tests/engine/smtp/support/script.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "engine/reactor/scope.h"
#include "engine/smtp/credentials.h"
#include "engine/smtp/dialogue_tap.h"
#include "engine/smtp/dot_stuff.h"
#include "engine/smtp/mail_source.h"
#include "engine/smtp/transaction.h"
#include "tests/engine/smtp/support/script_words.h"
#include "tests/engine/smtp/support/scripted_stream.h"

namespace engine::testing {

namespace {

using Turn = ScriptedStream::Turn;

struct ScriptMail {
    Mail mail;
    bool late = false;  // there only once the session waits
    bool made = true;   // false: only once the session waits with a content for it
    std::shared_ptr<HostTraits> shown{};  // another connection shows "chunk" when it is taken
};

/// The mails of M lines that follow each other.
class ScriptSource : public MailSource {
  public:
    explicit ScriptSource(std::deque<ScriptMail> mails) : mails_(std::move(mails)) {}

    std::optional<Mail> take() override {
        if (!ready()) return std::nullopt;
        Mail mail = std::move(mails_.front().mail);
        if (const auto& traits = mails_.front().shown)
            traits->skips_refused_chunk = HostTraits::Shown::yes;
        mails_.pop_front();
        return mail;
    }
    bool ready() const override {
        return !mails_.empty() && !mails_.front().late && mails_.front().made;
    }
    void prepare() override {}
    bool making() const override { return !mails_.empty() && !mails_.front().made; }
    Task<> made() override {
        mails_.front().made = true;
        co_return;
    }
    Task<bool> wait() override {
        if (!mails_.empty()) mails_.front().late = false;
        co_return !mails_.empty();
    }
    void content_leaves(size_t place, const Transaction& transaction) override {
        const size_t mail = outcomes_.size() + place;
        std::vector<bool> told;
        for (size_t i = 0; i < transaction.recipients(); ++i)
            told.push_back(transaction.may_get_it(i));
        if (!may_get_it_.emplace(mail, std::move(told)).second)
            complaints_.push_back(fmt::format("the content of mail {} left twice", mail));
    }
    /// Whoever may have the mail must have been told of before its content left: a crash in between
    /// would not know of it.
    void settle(Outcome outcome) override {
        const std::vector<bool>& told = may_get_it_[outcomes_.size()];
        for (size_t i = 0; i < outcome.verdicts.size(); ++i) {
            const Verdict& verdict = outcome.verdicts[i];
            const bool may_have_it = verdict.in_doubt || verdict.kind == Verdict::Kind::delivered;
            if (may_have_it && (i >= told.size() || !told[i]))
                complaints_.push_back(
                    fmt::format("recipient {} of mail {} may have it and was not in the journal", i,
                                outcomes_.size()));
        }
        outcomes_.push_back(std::move(outcome));
    }

    const std::vector<std::string>& complaints() const { return complaints_; }
    const std::vector<Outcome>& outcomes() const { return outcomes_; }
    size_t left() const { return mails_.size(); }

  private:
    std::deque<ScriptMail> mails_;
    std::vector<Outcome> outcomes_;
    std::map<size_t, std::vector<bool>> may_get_it_;  // by mail: told of before its content left
    std::vector<std::string> complaints_;
};

/// Hears every script. It must hear all that is said, and neither contents nor secrets.
class Ears : public DialogueTap {
  public:
    bool listens() const override { return true; }
    void we_say(std::string_view lines) override { commands += lines; }
    void we_send(std::string_view content) override { content_octets += content.size(); }
    void host_says(const Reply&) override {}
    void note(std::string_view what) override { notes.append(what).append("\n"); }

    std::string commands, notes;
    size_t content_octets = 0;
};

bool is_command(std::string_view line) {
    constexpr std::string_view verbs[] = {"EHLO ", "HELO ", "MAIL ", "RCPT ", "DATA",
                                          "BDAT ", "RSET",  "QUIT",  "AUTH "};
    return std::ranges::any_of(verbs,
                               [&](std::string_view verb) { return line.starts_with(verb); });
}

class Player {
  public:
    Player(std::vector<ScriptLine> lines, Cut cut)
        : lines_(std::move(lines)), stream_(clock_, cut), session_(stream_, clock_, {}) {
        for (const ScriptLine& line : lines_) {
            if (line.kind == 'X') known_ = parse_knowledge(line.text);
        }
        session_.plan(known_.plan, known_.traits);
        session_.let_listen(ears_);
    }

    std::vector<std::string> run() {
        Scope scope;
        scope.spawn(conversation());
        if (scope.running() > 0) complaints_.push_back("the session waits for ever");
        using Unread = ScriptedStream::Unread;
        stream_.finish(usable_ ? Unread::complain : Unread::ignore);
        for (const std::string& text : stream_.complaints()) complaints_.push_back(text);
        check_ears();
        return complaints_;
    }

  private:
    Task<> conversation() {
        load_until_next_call();
        const auto greeted = co_await session_.greet("out.example");
        usable_ = greeted.has_value();
        check_greeting(greeted);
        while (at_ < lines_.size()) {
            const ScriptLine call = lines_[at_++];
            if (call.kind == 'Q') {
                load_until_next_call();
                co_await session_.quit();
                continue;
            }
            if (call.kind == 'A') {
                load_until_next_call();
                const auto done = co_await session_.log_in(parse_credentials(call.text));
                usable_ = done.has_value();
                check_login(done);
                continue;
            }
            std::deque<ScriptMail> mails = mails_from(call);
            load_until_next_call();
            ScriptSource source(std::move(mails));
            co_await session_.run(&source);
            usable_ = session_.usable();
            check_outcomes(source, call.number);
        }
    }

    /// The mails of this M line and of those that follow it at once.
    std::deque<ScriptMail> mails_from(const ScriptLine& call) {
        std::deque<ScriptMail> mails;
        mails_.clear();
        for (const ScriptLine* line = &call;; line = &lines_[at_++]) {
            mails_.push_back(parse_mail(line->text));
            mails.push_back({mails_.back(), line->text.contains(" late"),
                             !line->text.contains(" making"),
                             line->text.contains(" chunk_shown") ? known_.traits : nullptr});
            if (at_ == lines_.size() || lines_[at_].kind != 'M') return mails;
        }
    }

    /// Gives the stream all lines up to the next M or Q, and keeps what is expected of this part.
    void load_until_next_call() {
        expected_.clear();
        for (; at_ < lines_.size(); ++at_) {
            const ScriptLine& line = lines_[at_];
            if (line.kind == 'M' || line.kind == 'Q' || line.kind == 'A') return;
            if (line.kind == 'E') expected_.push_back(line);
            if (line.kind == 'G') load_greeting(line);
            if (line.kind == 'S') load_server(line);
            if (line.kind == 'C') load_client(line);
        }
    }
    void load_greeting(const ScriptLine& line) {
        std::string reply = "250-mx.x\r\n";
        for (const std::string& keyword : split(line.text, ", ")) {
            if (!keyword.empty()) reply += "250-" + keyword + "\r\n";
        }
        reply.replace(reply.rfind("250-"), 4, "250 ");
        stream_.add({Turn::Kind::server, line.number, "220 mx.x ESMTP\r\n"});
        stream_.add({Turn::Kind::client, line.number, "EHLO out.example\r\n"});
        stream_.add({Turn::Kind::server, line.number, reply});
    }
    void load_server(const ScriptLine& line) {
        for (const std::string& part : split(line.text, " / ")) {
            if (part == "<close>")
                stream_.add({Turn::Kind::close, line.number, {}});
            else if (part == "<reset>")
                stream_.add({Turn::Kind::reset, line.number, {}});
            else if (part == "<silence>")
                stream_.add({Turn::Kind::silence, line.number, {}});
            else if (part == "<refuse-writes>")
                stream_.add({Turn::Kind::refuse_writes, line.number, {}});
            else if (part.ends_with("\\"))  // no line end
                stream_.add(
                    {Turn::Kind::server, line.number, unescape(part.substr(0, part.size() - 1))});
            else
                for (const std::string& reply : repeated(part))
                    stream_.add({Turn::Kind::server, line.number, unescape(reply) + "\r\n"});
        }
    }
    void load_client(const ScriptLine& line) {
        std::string bytes;
        for (const std::string& part : split(line.text, " / ")) {
            if (part == "<cut-body>") return stream_.add({Turn::Kind::cut_write, line.number, {}});
            if (part.starts_with("<body") || part.starts_with("<chunk"))
                bytes += content_of(part);
            else if (part == "<dot>")
                bytes += ".\r\n";
            else
                for (const std::string& command : repeated(part))
                    bytes += unescape(command) + "\r\n";
        }
        stream_.add({Turn::Kind::client, line.number, bytes});
    }

    /// "<body>", "<body2>", "<chunk3>": of the mail with that number in this run.
    std::string content_of(const std::string& part) {
        const size_t digit = part.size() - 2;
        const size_t number = std::isdigit(part[digit]) ? part[digit] - '1' : 0;
        const std::string& content = *mails_.at(number).content;
        if (part.starts_with("<body")) return stuffed(content);
        return fmt::format("BDAT {} LAST\r\n{}", content.size(), content);
    }

    void check_ears() {
        const auto has = [&](std::string_view what) {
            return std::ranges::any_of(
                lines_, [&](const ScriptLine& line) { return line.text.contains(what); });
        };
        const bool logs_in =
            std::ranges::any_of(lines_, [](const ScriptLine& line) { return line.kind == 'A'; });
        if (logs_in) return check_secrets();
        std::istringstream lines(ears_.commands);
        for (std::string line; std::getline(lines, line);)
            if (!is_command(line)) complaints_.push_back("a tap heard as a command: " + line);
        const size_t heard = ears_.commands.size() + ears_.content_octets;
        if (heard != stream_.octets_written() && !has("<refuse-writes>") && !has("<cut-body>"))
            complaints_.push_back(fmt::format("a tap heard {} octets of {} that were written",
                                              heard, stream_.octets_written()));
    }
    /// The last word of a line while logging in is a secret, unless it names the mechanism.
    void check_secrets() {
        bool in_login = false;
        for (const ScriptLine& line : lines_) {
            if (line.kind == 'A') in_login = true;
            if (line.kind == 'M' || line.kind == 'Q' || line.kind == 'E') in_login = false;
            if (!in_login || line.kind != 'C') continue;
            const std::string secret = words(line.text).empty() ? "" : words(line.text).back();
            const bool open = secret.size() < 2 || line.text == "AUTH " + secret;
            if (!open && (ears_.commands + ears_.notes).contains(secret))
                complain(line, "a tap heard " + secret);
        }
    }

    void complain(const ScriptLine& line, const std::string& what) {
        complaints_.push_back(fmt::format("line {}: {}", line.number, what));
    }
    static std::string shown(const Verdict& v) {
        return fmt::format("{} {} {} {}{}", to_string(v.kind), v.reply.code,
                           v.reply.enhanced.empty() ? "-" : v.reply.enhanced, to_string(v.stage),
                           v.in_doubt ? " in_doubt" : "");
    }
    void compare(const ScriptLine& line, std::string expected, const Verdict& verdict) {
        const size_t tilde = expected.find(" ~ ");
        if (tilde != std::string::npos) {
            const std::string part = expected.substr(tilde + 3);
            if (!verdict.reply.text.contains(part)) {
                complain(line, "the text is \"" + verdict.reply.text + "\"");
            }
            expected.resize(tilde);
        }
        if (expected != shown(verdict)) complain(line, "the verdict is " + shown(verdict));
    }

    void check_greeting(const std::expected<void, Verdict>& greeted) {
        bool said = false;
        for (const ScriptLine& line : expected_) {
            said = said || line.text.starts_with("greet ");
            if (line.text.starts_with("greet ") && greeted) complain(line, "it was greeted well");
            if (line.text.starts_with("greet ") && !greeted)
                compare(line, line.text.substr(6), greeted.error());
            if (line.text.starts_with("offers ")) check_offers(line);
        }
        if (!greeted && !said)
            complaints_.push_back("greeting failed: " + shown(greeted.error()) + " " +
                                  greeted.error().reply.text);
    }
    void check_login(const std::expected<void, Verdict>& done) {
        for (const ScriptLine& line : expected_) {
            if (line.text == "logged_in" && !done)
                complain(line, shown(done.error()) + " " + done.error().reply.text);
            if (line.text.starts_with("auth ") && done) complain(line, "it was logged in");
            if (line.text.starts_with("auth ") && !done)
                compare(line, line.text.substr(5), done.error());
        }
    }
    void check_offers(const ScriptLine& line) {
        const Capabilities& c = session_.capabilities();
        std::string all;
        if (c.esmtp) all += " ESMTP";
        if (c.pipelining) all += " PIPELINING";
        if (c.chunking) all += " CHUNKING";
        if (c.eight_bit_mime) all += " 8BITMIME";
        if (c.smtp_utf8) all += " SMTPUTF8";
        if (c.dsn) all += " DSN";
        if (c.enhanced_status_codes) all += " ENHANCEDSTATUSCODES";
        if (c.starttls) all += " STARTTLS";
        if (c.size) all += fmt::format(" SIZE={}", c.size_max);
        if ("offers" + all != line.text) complain(line, "it offers" + all);
    }

    void check_outcomes(const ScriptSource& source, int call_line) {
        if (expected_.empty()) {
            complaints_.push_back(fmt::format("line {}: nothing is expected of it", call_line));
        }
        if (source.outcomes().size() + source.left() != mails_.size()) {
            complaints_.push_back(fmt::format("line {}: not one outcome for each mail", call_line));
        }
        for (const std::string& text : source.complaints())
            complaints_.push_back(fmt::format("line {}: {}", call_line, text));
        bool lock_step = false;
        for (const ScriptLine& line : expected_) {
            if (line.text == "usable" || line.text == "unusable") {
                if (session_.usable() != (line.text == "usable"))
                    complain(line, "the connection is not so");
            } else if (line.text == "lock_step") {
                lock_step = true;
            } else if (line.text.starts_with("host")) {
                if (line.text != known_to_be(*known_.traits))
                    complain(line, known_to_be(*known_.traits));
            } else {
                check_recipient(line, source.outcomes());
            }
        }
        const bool said = std::ranges::any_of(source.outcomes(), &Outcome::lock_step);
        if (said != lock_step)
            complaints_.push_back(fmt::format("line {}: lock_step is {}", call_line, said));
    }
    void check_recipient(const ScriptLine& line, const std::vector<Outcome>& outcomes) {
        const std::string who = line.text.substr(0, line.text.find(' '));
        const std::string expected = line.text.substr(who.size() + 1);
        bool found = false;
        for (size_t m = 0; m < mails_.size(); ++m) {
            for (size_t i = 0; i < mails_[m].recipients.size(); ++i) {
                if (who != mails_[m].recipients[i].address && who != "all") continue;
                found = true;
                if (m < outcomes.size()) {
                    compare(line, expected, outcomes[m].verdicts.at(i));
                } else if (expected != "not_taken") {
                    complain(line, "its mail was not taken");
                }
            }
        }
        if (!found) complain(line, "no such recipient");
    }

    std::vector<ScriptLine> lines_;
    size_t at_ = 0;
    std::vector<ScriptLine> expected_;
    std::vector<std::string> complaints_;
    std::vector<Mail> mails_;  // of this run
    Knowledge known_;
    bool usable_ = false;
    Ears ears_;
    ManualClock clock_;
    ScriptedStream stream_;
    Session session_;
};

}  // namespace

std::vector<ScriptLine> read_script(const std::string& path) {
    std::vector<ScriptLine> lines;
    std::ifstream in(path);
    int number = 0;
    for (std::string text; std::getline(in, text);) {
        ++number;
        if (text.empty() || text.starts_with('#')) continue;
        const bool known =
            text.size() >= 2 && text[1] == ':' && std::string_view("GSCMQAEX").contains(text[0]);
        lines.push_back({number, known ? text[0] : '?', text.size() > 3 ? text.substr(3) : ""});
    }
    return lines;
}

std::vector<std::string> play(const std::string& path, Cut cut) {
    const std::vector<ScriptLine> lines = read_script(path);
    if (lines.empty()) return {path + ": no such script, or an empty one"};
    for (const ScriptLine& line : lines) {
        if (line.kind == '?') return {fmt::format("line {}: not a script line", line.number)};
    }
    return Player(lines, cut).run();
}

}  // namespace engine::testing

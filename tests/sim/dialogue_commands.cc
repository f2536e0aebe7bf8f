// What a simulated host answers to each command, and what it does with a content.
#include <algorithm>
#include <charconv>

#include "tests/sim/dialogue.h"

namespace sim {

namespace {

std::string upper(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    return result;
}

template <class Value>
void came(std::deque<Value>& coming, const Value& value) {
    if (const auto found = std::ranges::find(coming, value); found != coming.end())
        coming.erase(found);
}

}  // namespace

void Host::Dialogue::command(std::string_view line, Sent sent) {
    const std::string word = upper(line.substr(0, line.find_first_of(" :")));
    if (word != "MAIL") reset_begun_.reset();
    host_.world_.trace("{} < {}", host_.name_, line);
    if (word == "EHLO" || word == "HELO") {
        clear();
        if (word == "HELO") return say("250 " + host_.name_);
        std::string answer = "250-" + host_.name_ + "\r\n";
        if (manners().pipelining) answer += "250-PIPELINING\r\n";
        if (manners().chunking) answer += "250-CHUNKING\r\n";
        if (manners().eight_bit) answer += "250-8BITMIME\r\n";
        if (manners().tls != Manners::Tls::absent && !tls_) answer += "250-STARTTLS\r\n";
        return say(answer + "250 ENHANCEDSTATUSCODES");
    }
    if (word == "MAIL") return mail(line, sent);
    if (word == "RCPT") return rcpt(line);
    if (word == "DATA") return begin_data();
    if (word == "BDAT") return begin_chunk(line);
    if (word == "RSET" || word == "NOOP") {
        if (word == "RSET") clear();
        if (word == "RSET") reset_begun_ = sent.begun;
        return say("250 2.0.0 ok");
    }
    if (word == "STARTTLS" && !tls_) return start_tls();
    if (word == "QUIT") {
        say("221 2.0.0 bye");
        return leave(&Link::close);
    }
    say("500 5.5.1 unknown command");
}

void Host::Dialogue::clear() {
    has_sender_ = false;
    recipients_.clear();
    asked_.clear();
    content_.clear();
}

void Host::Dialogue::mail(std::string_view line, Sent sent) {
    came(senders_coming_, between_brackets(line));
    mail_sent_ = sent.at;
    mail_begun_ = std::exchange(reset_begun_, std::nullopt).value_or(sent.begun);
    if (!tls_up_ && tls_was(mail_begun_ - Way::under_way, engine::TlsPolicy::required,
                            engine::TlsPolicy::verified))
        host_.world_.fail("what demands TLS goes by TLS", std::string(line));
    Traffic::Mail seen{.group = host_.group_,
                       .source = link_->source(),
                       .tenant = {},
                       .pool = {},
                       .boot = boot_,
                       .of_connection = ++mails_,
                       .opened = opened_,
                       .begun = mail_begun_,
                       .sent = mail_sent_};
    if (const JobBook* job = host_.book_.job_of_sender(between_brackets(line))) {
        seen.tenant = job->tenant;
        seen.pool = job->pool;
    }
    host_.book_.traffic().mail(seen);
    recipients_asked_ = 0;
    if (has_sender_) return say("503 5.5.1 nested MAIL");
    sender_ = between_brackets(line);
    if (manners().messages_max > 0 && messages_ >= manners().messages_max) {
        host_.world_.count(Fault::too_many_messages);
        if (host_.world_.chance(0.5)) return say("452 4.5.3 too many messages sent");
        say("421 4.7.0 too many messages in this connection");
        return leave(&Link::close);
    }
    ++messages_;
    has_sender_ = true;
    say("250 2.1.0 ok");
}

void Host::Dialogue::rcpt(std::string_view line) {
    if (!has_sender_) return say("503 5.5.1 MAIL first");
    const std::string address = between_brackets(line);
    Item* item = host_.book_.item_of(address);
    if (item == nullptr) {
        host_.world_.fail("only our recipients are tried", std::string(line));
        return say("550 5.1.1 whose?");
    }
    host_.book_.tried(
        *item, *link_,
        {host_.group_, provider(), host_.site_, link_->source(), mail_sent_, boot_, mail_begun_});
    host_.book_.traffic().recipient(host_.group_, ++recipients_asked_);
    came(coming_, item);
    asked_.push_back(item);
    if (!trusted_) item->lied_to = item->refused = true;
    if (manners().recipients_max > 0 && recipients_.size() >= manners().recipients_max) {
        host_.world_.count(Fault::too_many_recipients);
        return say("452 4.5.3 too many recipients");
    }
    World& world = host_.world_;
    const uint64_t who = std::hash<std::string>{}(address) ^ host_.salt_;
    const auto is = [&](double share, uint64_t kind) {
        return static_cast<double>((who * (2 * kind + 1) >> 20) % 10'000) < share * 10'000;
    };
    if (is(manners().unknown_user, 1)) {
        item->refused = true;
        world.count(Fault::unknown_user);
        return say("550 5.1.1 no such user");
    }
    if (is(manners().greylisted, 2)) {
        const auto [entry, is_new] =
            host_.greylist_.try_emplace(address, world.now() + world.some_time(1s, 60s));
        if (world.now() < entry->second) {
            world.count(Fault::greylisted);
            return say("451 4.7.1 greylisted");
        }
    }
    if (world.strikes(Fault::mailbox_full, manners().mailbox_full))
        return say("452 4.2.2 mailbox full");
    if (world.strikes(Fault::later_450, manners().later_450)) return say("450 4.2.1 not now");
    recipients_.push_back(item);
    say("250 2.1.5 ok");
}

void Host::Dialogue::begin_data() {
    if (!has_sender_) return say("503 5.5.1 MAIL first");
    if (recipients_.empty()) return say("554 5.5.1 no valid recipients");
    if (host_.world_.strikes(Fault::data_refused, manners().refuse_data))
        return say("451 4.3.0 not now");
    in_data_ = true;
    say("354 go on");
}

void Host::Dialogue::data() {
    in_data_ = false;
    std::string wire = take(end_of_content());
    input_.erase(0, 3);
    if (manners().swallows_behind_dot && !input_.empty()) {
        host_.world_.count(Fault::swallowed);
        input_.clear();
    }
    content_.clear();
    for (size_t at = 0; at < wire.size();) {  // without the dots that were doubled
        if (wire[at] == '.') ++at;
        const size_t end = wire.find("\r\n", at);
        content_ += wire.substr(at, end + 2 - at);
        at = end + 2;
    }
    end_of_message();
}

void Host::Dialogue::begin_chunk(std::string_view line) {
    const std::string text = upper(line);
    size_t size = 0;
    const size_t digits = std::min<size_t>(5, text.size());
    const auto [end, error] =
        std::from_chars(text.data() + digits, text.data() + text.size(), size);
    if (!manners().chunking || error != std::errc{}) return say("501 5.5.4 BDAT what?");
    last_chunk_ = text.ends_with(" LAST");
    chunk_left_ = size;
}

void Host::Dialogue::chunk() {
    content_ += take(*chunk_left_);
    chunk_left_.reset();
    if (!has_sender_ || recipients_.empty()) {
        content_.clear();
        return say("503 5.5.1 no valid recipients");
    }
    if (last_chunk_) return end_of_message();
    say("250 2.0.0 chunk taken");
}

void Host::Dialogue::end_of_message() {
    World& world = host_.world_;
    const std::vector<Item*> recipients = recipients_;
    const std::string content = std::exchange(content_, {}), sender = sender_;
    clear();
    if (recipients.empty() || content.empty()) return say("554 5.5.1 no valid recipients");
    check(content, sender, recipients);
    if (world.strikes(Fault::content_4yz, manners().content_4xx)) return say("451 4.3.0 not now");
    if (world.strikes(Fault::content_5yz, manners().content_5xx)) {
        for (Item* item : recipients) item->refused = true;
        return say("554 5.7.1 not this");
    }
    if (world.strikes(Fault::lost_before_taken, manners().lost_before_taken))
        return leave(gone_how());
    std::vector<std::pair<Item*, size_t>> taken;
    for (Item* item : recipients) {
        world.trace("{} takes {}", host_.name_, item->address);
        taken.emplace_back(item, host_.book_.took(*item, link_, trusted_, {mail_sent_, boot_}));
    }
    if (world.strikes(Fault::lost_after_taken, manners().lost_after_taken))
        return leave(gone_how());
    if (world.strikes(Fault::silent_after_taken, manners().silent_after_taken)) {
        silent_ = true;
        return;
    }
    say("250 2.0.0 taken", [taken, &book = host_.book_] {
        for (const auto& [item, acceptance] : taken) book.answer_read(*item, acceptance);
    });
}

void Host::Dialogue::check(const std::string& content, const std::string& sender,
                           const std::vector<Item*>& recipients) {
    for (const Item* item : recipients) {
        const std::string job = std::to_string(item->job);
        const bool whole = content.contains("\r\njob:" + job + ";\r\n") &&
                           content.ends_with("\r\nend of " + job + ".\r\n");
        const bool own =
            !content.contains("\r\nto:") || content.contains("\r\nto:" + item->address);
        if (!whole || !own || sender != Book::sender_of(item->job))
            host_.world_.fail("everybody gets their own mail, whole",
                              item->address + " got another's, under " + sender);
    }
}

}  // namespace sim

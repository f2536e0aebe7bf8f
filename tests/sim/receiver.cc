#include "tests/sim/receiver.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <memory>
#include <optional>

#include "engine/net/tls_connection.h"
#include "tests/sim/tls.h"

namespace sim {

namespace {

constexpr size_t line_bytes_max = 4096;

std::string upper(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    return result;
}

std::string between_brackets(std::string_view line) {
    const size_t open = line.find('<'), close = line.find('>');
    if (open == std::string_view::npos || close == std::string_view::npos) return {};
    return std::string(line.substr(open + 1, close - open - 1));
}

}  // namespace

Manners draw_manners(World& world) {
    Manners manners;
    manners.pipelining = world.chance(0.7);
    manners.chunking = world.chance(0.5);
    manners.swallows_behind_dot = world.chance(0.15);
    if (world.chance(0.3)) manners.messages_max = static_cast<uint32_t>(1 + world.draw(5));
    if (world.chance(0.3)) manners.recipients_max = static_cast<uint32_t>(1 + world.draw(5));
    using enum Manners::Tls;
    manners.tls = std::array{absent,  absent, absent, good,   good,    good,
                             refused, broken, cut,    silent, injected}[world.draw(11)];
    if (world.chance(0.05)) manners.tarpit = world.some_time(1s, 15s);
    manners.think = world.some_time(20us, 50ms);
    manners.latency = world.some_time(100us, 120ms);
    const double trouble = std::array{0.0, 0.2, 1.0, 3.0}[world.draw(4)];
    const auto some = [&](double most) {
        return world.chance(0.5) ? 0 : trouble * most * static_cast<double>(world.draw(100)) / 100;
    };
    manners.refuse = some(0.2);
    manners.lose = some(0.1);
    manners.unreachable = some(0.1);
    manners.bad_banner = some(0.1);
    manners.reads_slowly = some(0.1);
    manners.reset = some(0.03);
    manners.close = some(0.03);
    manners.silent = some(0.01);
    manners.closing_421 = some(0.03);
    manners.garbage = some(0.01);
    manners.extra_reply = some(0.01);
    manners.wrong_order = some(0.01);
    manners.refuse_data = some(0.03);
    manners.cut_in_content = some(0.03);
    manners.lost_before_taken = some(0.1);
    manners.lost_after_taken = some(0.1);
    manners.silent_after_taken = some(0.03);
    manners.content_4xx = some(0.1);
    manners.content_5xx = some(0.05);
    manners.greylisted = some(0.3);
    manners.unknown_user = world.chance(0.5) ? 0.1 : 0;
    manners.mailbox_full = some(0.1);
    manners.later_450 = some(0.1);
    return manners;
}

/// One connection. Commands are taken one after the other, each after some thought.
class Host::Dialogue final : public Peer, public std::enable_shared_from_this<Dialogue> {
  public:
    Dialogue(Host& host, std::shared_ptr<Link> link) : host_(host), link_(std::move(link)) {}

    void connected() override {
        World& world = host_.world_;
        if (world.strikes(Fault::bad_banner, manners().bad_banner)) {
            switch (world.draw(5)) {
                case 0:
                    return leave(&Link::reset);
                case 1:
                    return leave(&Link::close);
                case 2:
                    silent_ = true;
                    return;
                case 3:
                    say("421 4.3.2 too busy");
                    return leave(&Link::close);
                default:
                    say("554 5.7.1 not you");
                    return leave(&Link::close);
            }
        }
        say("220 " + host_.name_ + " ESMTP simulated");
    }

    /// Whose mail is on its way: when an answer goes wrong, theirs may be taken for another's.
    void leaving(std::string_view bytes) override {
        if (tls_ || shakes_badly_) return;  // nobody can read it, and we tell no lies there
        leaving_ += bytes;
        for (size_t end; (end = leaving_.find("\r\n")) != std::string::npos;) {
            const std::string_view line = std::string_view(leaving_).substr(0, end);
            if (line.starts_with("RCPT TO:<")) {
                if (Item* item = host_.book_.item_of(between_brackets(line)))
                    coming_.push_back(item);
            } else if (line.starts_with("MAIL FROM:<")) {
                senders_coming_.push_back(between_brackets(line));
            }
            leaving_.erase(0, end + 2);
        }
        if (!trusted_) lied_to_what_comes();
    }

    void bytes(std::string bytes, Sent sent) override {
        if (gone_) return;
        if (shakes_badly_) return shake_badly();
        if (tls_ && !decrypt(bytes)) return leave(&Link::reset);
        input_ += bytes;
        taken_in_ += bytes.size();
        if (in_data_ || chunk_left_)
            if (host_.world_.strikes(Fault::cut_in_content, manners().cut_in_content))
                return leave(gone_how());
        sent_.emplace_back(taken_in_, sent);
        World& world = host_.world_;
        if (world.strikes(Fault::slow_reader, manners().reads_slowly))
            link_->pause_until(world.now() + world.some_time(10ms, 8s));
        pump();
    }

    void ended() override {
        gone_ = true;
        link_->close();
    }

  private:
    const Manners& manners() const { return host_.manners_; }
    const SettingsBook& settings() const { return host_.book_.settings(); }
    /// Whatever settings may have counted since then said so.
    bool tls_was(Instant since, engine::TlsPolicy least, engine::TlsPolicy most) const {
        return settings().all(since, host_.world_.now(), [&](const engine::Settings& one) {
            const engine::TlsPolicy policy = limits_of(one, host_.group_).tls;
            return policy >= least && policy <= most;
        });
    }
    /// Empty: a reload may have changed it since the mail was begun.
    std::string provider() const {
        const std::string now = provider_name_of(settings().latest(), host_.group_);
        const bool sure = settings().all(mail_begun_ - Way::under_way, host_.world_.now(),
                                         [&](const engine::Settings& one) {
                                             return provider_name_of(one, host_.group_) == now;
                                         });
        return sure ? now : std::string();
    }

    void say(const std::string& line, std::function<void()> read = {}) {
        host_.world_.trace("{} > {}", host_.name_, line);
        if (std::exchange(holds_back_, false)) {
            held_.emplace(line, std::move(read));
            return;
        }
        write(line, std::move(read));
        if (const auto held = std::exchange(held_, std::nullopt)) write(held->first, held->second);
    }
    void write(const std::string& line, std::function<void()> read) {
        if (!tls_) return link_->write(line + "\r\n", std::move(read));
        tls_->write(line + "\r\n");
        link_->write(tls_->take_output(), std::move(read));
    }

    /// What came over the wire becomes what was said. False: that is no TLS.
    bool decrypt(std::string& bytes) {
        using Progress = engine::TlsConnection::Progress;
        wire_ = std::exchange(bytes, {});
        tls_->give(wire_);
        Progress progress = tls_up_ ? Progress::done : tls_->handshake();
        if (!tls_up_ && progress == Progress::done) tls_up_ = true;
        std::string plain;
        while (progress == Progress::done && (progress = tls_->read(plain)) == Progress::done)
            bytes += plain;
        if (tls_->has_output()) link_->write(tls_->take_output());
        return progress != Progress::failed;
    }

    void start_tls() {
        World& world = host_.world_;
        using enum Manners::Tls;
        if (tls_was(opened_ - settings().lag(opened_), engine::TlsPolicy::none,
                    engine::TlsPolicy::none))
            world.fail("TLS is not asked for where it is turned off", host_.name_);
        if (!input_.empty())
            world.fail("nothing stands behind STARTTLS", host_.name_ + " got " + input_);
        clear();
        switch (manners().tls) {
            case absent:
                return say("502 5.5.1 unknown command");
            case refused:
                world.count(Fault::tls_refused);
                return say("454 4.7.0 not now");
            case good:
                say("220 2.0.0 go on");
                tls_ = std::make_unique<engine::TlsConnection>(tls().server);
                return;
            case injected:
                world.count(Fault::tls_injected);
                say("220 2.0.0 go on\r\n250-" + host_.name_ + "\r\n250 PIPELINING");
                break;
            case broken:
            case cut:
            case silent:
                say("220 2.0.0 go on");
        }
        shakes_badly_ = true;
    }
    void shake_badly() {
        World& world = host_.world_;
        switch (manners().tls) {
            case Manners::Tls::broken:
                world.count(Fault::tls_broken);
                return link_->write("554 5.5.1 what is that?\r\n");
            case Manners::Tls::cut:
                world.count(Fault::tls_cut);
                return leave(gone_how());
            default:
                return;
        }
    }
    void leave(void (Link::*how)()) {
        gone_ = true;
        (link_.get()->*how)();
    }
    void went_wrong() {
        trusted_ = false;
        for (Item* item : asked_) item->lied_to = item->refused = true;
        host_.book_.lied_to_sender(sender_);
        lied_to_what_comes();
    }
    void lied_to_what_comes() {
        for (Item* item : coming_) item->lied_to = item->refused = true;
        for (const std::string& sender : senders_coming_) host_.book_.lied_to_sender(sender);
    }
    template <class Value>
    static void came(std::deque<Value>& coming, const Value& value) {
        if (const auto found = std::ranges::find(coming, value); found != coming.end())
            coming.erase(found);
    }

    void pump() {
        if (busy_ || gone_ || silent_ || !something_whole()) return;
        busy_ = true;
        if (manners().tarpit > 0ns) host_.world_.count(Fault::tarpit);
        host_.world_.after(manners().think + manners().tarpit, [self = shared_from_this()] {
            self->busy_ = false;
            if (self->gone_) return;
            self->step();
            self->pump();
        });
    }

    bool something_whole() const {
        if (chunk_left_) return input_.size() >= *chunk_left_;
        if (in_data_) return end_of_content() != std::string::npos;
        return input_.find("\r\n") != std::string::npos || input_.size() > line_bytes_max;
    }
    size_t end_of_content() const {
        if (input_.starts_with(".\r\n")) return 0;
        const size_t at = input_.find("\r\n.\r\n");
        return at == std::string::npos ? at : at + 2;
    }

    std::string take(size_t size) {
        std::string taken = input_.substr(0, size);
        input_.erase(0, size);
        return taken;
    }

    void step() {
        if (chunk_left_) return chunk();
        if (in_data_) return data();
        const size_t end = input_.find("\r\n");
        if (end == std::string::npos) {
            say("500 5.5.2 line too long");
            return leave(&Link::close);
        }
        // When the engine sent the first octet of this line, or a little before.
        const uint64_t at = taken_in_ - input_.size();
        while (!sent_.empty() && sent_.front().first <= at) sent_.pop_front();
        const Sent sent =
            sent_.empty() ? Sent{host_.world_.now(), host_.world_.now()} : sent_.front().second;
        const std::string line = take(end + 2);
        if (trouble()) return;
        command(std::string_view(line).substr(0, end), sent);
    }

    /// True when nothing more is to be done.
    bool trouble() {
        World& world = host_.world_;
        if (world.strikes(Fault::reset, manners().reset)) return leave(&Link::reset), true;
        if (world.strikes(Fault::closed, manners().close)) return leave(&Link::close), true;
        if (world.strikes(Fault::silent, manners().silent)) return silent_ = true;
        if (world.strikes(Fault::said_421, manners().closing_421)) {
            say("421 4.3.2 shutting down");
            leave(&Link::close);
            return true;
        }
        if (tls_) return false;
        if (world.strikes(Fault::wrong_order, manners().wrong_order)) {
            went_wrong();
            holds_back_ = true;
        }
        if (world.strikes(Fault::garbage, manners().garbage)) {
            went_wrong();
            say(std::array{"what?", "999 no such code", "25", "250-never ending"}[world.draw(4)]);
        }
        if (world.strikes(Fault::extra_reply, manners().extra_reply)) {
            went_wrong();
            say("250 2.0.0 and another one");
        }
        return false;
    }

    void command(std::string_view line, Sent sent) {
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

    void clear() {
        has_sender_ = false;
        recipients_.clear();
        asked_.clear();
        content_.clear();
    }

    void mail(std::string_view line, Sent sent) {
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

    void rcpt(std::string_view line) {
        if (!has_sender_) return say("503 5.5.1 MAIL first");
        const std::string address = between_brackets(line);
        Item* item = host_.book_.item_of(address);
        if (item == nullptr) {
            host_.world_.fail("only our recipients are tried", std::string(line));
            return say("550 5.1.1 whose?");
        }
        host_.book_.tried(
            *item, *link_,
            {host_.group_, provider(), host_.site_, link_->source(), mail_sent_, boot_,
             mail_begun_});
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

    void begin_data() {
        if (!has_sender_) return say("503 5.5.1 MAIL first");
        if (recipients_.empty()) return say("554 5.5.1 no valid recipients");
        if (host_.world_.strikes(Fault::data_refused, manners().refuse_data))
            return say("451 4.3.0 not now");
        in_data_ = true;
        say("354 go on");
    }

    void data() {
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

    void begin_chunk(std::string_view line) {
        const std::string text = upper(line);
        size_t size = 0;
        const size_t digits = std::min<size_t>(5, text.size());
        const auto [end, error] =
            std::from_chars(text.data() + digits, text.data() + text.size(), size);
        if (!manners().chunking || error != std::errc{}) return say("501 5.5.4 BDAT what?");
        last_chunk_ = text.ends_with(" LAST");
        chunk_left_ = size;
    }

    void chunk() {
        content_ += take(*chunk_left_);
        chunk_left_.reset();
        if (!has_sender_ || recipients_.empty()) {
            content_.clear();
            return say("503 5.5.1 no valid recipients");
        }
        if (last_chunk_) return end_of_message();
        say("250 2.0.0 chunk taken");
    }

    void end_of_message() {
        World& world = host_.world_;
        const std::vector<Item*> recipients = recipients_;
        const std::string content = std::exchange(content_, {}), sender = sender_;
        clear();
        if (recipients.empty() || content.empty()) return say("554 5.5.1 no valid recipients");
        check(content, sender, recipients);
        if (world.strikes(Fault::content_4yz, manners().content_4xx))
            return say("451 4.3.0 not now");
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

    auto gone_how() -> void (Link::*)() {
        return host_.world_.chance(0.5) ? &Link::reset : &Link::close;
    }

    /// The content is that of these recipients' job, whole, and under its sender.
    void check(const std::string& content, const std::string& sender,
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

    Host& host_;
    std::shared_ptr<Link> link_;
    const uint32_t boot_ = host_.book_.boot();  // of the node that speaks; it may be gone since
    const Instant opened_ = host_.world_.now();
    std::string input_;
    uint64_t taken_in_ = 0;
    std::deque<std::pair<uint64_t, Sent>> sent_;  // up to which octet: when
    bool busy_ = false, gone_ = false, silent_ = false, trusted_ = true;
    uint32_t messages_ = 0, mails_ = 0;  // begun, asked for
    size_t recipients_asked_ = 0;        // since the last MAIL
    bool has_sender_ = false;
    std::string sender_;
    Instant mail_sent_{}, mail_begun_{};
    std::optional<Instant> reset_begun_;  // and nothing but MAIL since
    std::vector<Item*> recipients_;       // that were accepted
    std::vector<Item*> asked_;            // named since the last MAIL
    std::string leaving_;                 // a line of the engine's that is not whole yet
    std::deque<Item*> coming_;            // named by what is on its way
    std::deque<std::string> senders_coming_;
    bool in_data_ = false;
    std::optional<size_t> chunk_left_;
    bool last_chunk_ = false;
    std::unique_ptr<engine::TlsConnection> tls_;  // from the 220 to STARTTLS on
    bool tls_up_ = false;
    bool shakes_badly_ = false;  // nothing comes of the handshake
    std::string wire_;           // what tls_ reads
    bool holds_back_ = false;    // the next reply, until the one after it is out
    std::optional<std::pair<std::string, std::function<void()>>> held_;
    std::string content_;
};

Host::Host(World& world, Book& book, Names names, Manners manners)
    : world_(world),
      book_(book),
      name_(std::move(names.host)),
      group_(std::move(names.group)),
      site_(std::move(names.site)),
      manners_(manners),
      salt_(world.new_seed()) {}

Answer Host::connect(std::shared_ptr<Link> link) {
    Answer answer{.group = group_, .latency = manners_.latency};
    if (down_ || world_.strikes(Fault::refused, manners_.refuse)) {
        answer.kind = Answer::Kind::refuse;
    } else if (world_.strikes(Fault::lost_connect, manners_.lose)) {
        answer.kind = Answer::Kind::lose;
    } else if (world_.strikes(Fault::unreachable, manners_.unreachable)) {
        answer.kind = Answer::Kind::unreachable;
    } else {
        answer.peer = std::make_shared<Dialogue>(*this, std::move(link));
    }
    world_.trace("connect to {}: {}", name_, static_cast<int>(answer.kind));
    return answer;
}

void Host::heal(Tls tls) {
    Manners good{.pipelining = manners_.pipelining,
                 .chunking = manners_.chunking,
                 .eight_bit = manners_.eight_bit,
                 .think = manners_.think,
                 .latency = manners_.latency};
    good.unknown_user = manners_.unknown_user;
    const bool demanded = tls == Tls::demanded;
    if (manners_.tls != Manners::Tls::absent || demanded) good.tls = Manners::Tls::good;
    if (manners_.tls == Manners::Tls::refused && !demanded) good.tls = Manners::Tls::refused;
    manners_ = good;
    down_ = false;
}

}  // namespace sim

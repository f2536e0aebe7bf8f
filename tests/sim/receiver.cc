#include "tests/sim/receiver.h"

#include <charconv>
#include <functional>

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
    manners.refuse_data = some(0.03);
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
        if (world.chance(manners().bad_banner)) {
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

    void bytes(std::string bytes, Instant sent) override {
        if (gone_) return;
        input_ += bytes;
        taken_in_ += bytes.size();
        sent_.emplace_back(taken_in_, sent);
        World& world = host_.world_;
        if (world.chance(manners().reads_slowly))
            link_->pause_until(world.now() + world.some_time(10ms, 8s));
        pump();
    }

    void ended() override {
        gone_ = true;
        link_->close();
    }

  private:
    const Manners& manners() const { return host_.manners_; }

    void say(const std::string& line, std::function<void()> read = {}) {
        link_->write(line + "\r\n", std::move(read));
    }
    void leave(void (Link::*how)()) {
        gone_ = true;
        (link_.get()->*how)();
    }
    void went_wrong() {
        trusted_ = false;
        for (Item* item : recipients_) item->lied_to = item->refused = true;
    }

    void pump() {
        if (busy_ || gone_ || silent_ || !something_whole()) return;
        busy_ = true;
        host_.world_.after(manners().think, [self = shared_from_this()] {
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
        const Instant sent = sent_.empty() ? host_.world_.now() : sent_.front().second;
        const std::string line = take(end + 2);
        if (trouble()) return;
        command(std::string_view(line).substr(0, end), sent);
    }

    /// True when nothing more is to be done.
    bool trouble() {
        World& world = host_.world_;
        if (world.chance(manners().reset)) return leave(&Link::reset), true;
        if (world.chance(manners().close)) return leave(&Link::close), true;
        if (world.chance(manners().silent)) return silent_ = true;
        if (world.chance(manners().closing_421)) {
            say("421 4.3.2 shutting down");
            leave(&Link::close);
            return true;
        }
        if (world.chance(manners().garbage)) {
            went_wrong();
            say(std::array{"what?", "999 no such code", "25", "250-never ending"}[world.draw(4)]);
        }
        if (world.chance(manners().extra_reply)) {
            went_wrong();
            say("250 2.0.0 and another one");
        }
        return false;
    }

    void command(std::string_view line, Instant sent) {
        const std::string word = upper(line.substr(0, line.find_first_of(" :")));
        host_.world_.trace("{} < {}", host_.name_, line);
        if (word == "EHLO" || word == "HELO") {
            clear();
            if (word == "HELO") return say("250 " + host_.name_);
            std::string answer = "250-" + host_.name_ + "\r\n";
            if (manners().pipelining) answer += "250-PIPELINING\r\n";
            if (manners().chunking) answer += "250-CHUNKING\r\n";
            if (manners().eight_bit) answer += "250-8BITMIME\r\n";
            return say(answer + "250 ENHANCEDSTATUSCODES");
        }
        if (word == "MAIL") return mail(line, sent);
        if (word == "RCPT") return rcpt(line);
        if (word == "DATA") return begin_data();
        if (word == "BDAT") return begin_chunk(line);
        if (word == "RSET" || word == "NOOP") {
            if (word == "RSET") clear();
            return say("250 2.0.0 ok");
        }
        if (word == "QUIT") {
            say("221 2.0.0 bye");
            return leave(&Link::close);
        }
        say("500 5.5.1 unknown command");
    }

    void clear() {
        has_sender_ = false;
        recipients_.clear();
        content_.clear();
    }

    void mail(std::string_view line, Instant sent) {
        if (has_sender_) return say("503 5.5.1 nested MAIL");
        if (manners().messages_max > 0 && messages_ >= manners().messages_max) {
            if (host_.world_.chance(0.5)) return say("452 4.5.3 too many messages sent");
            say("421 4.7.0 too many messages in this connection");
            return leave(&Link::close);
        }
        ++messages_;
        has_sender_ = true;
        sender_ = between_brackets(line);
        mail_sent_ = sent;
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
        host_.book_.tried(*item, *link_, mail_sent_);
        if (!trusted_) item->lied_to = item->refused = true;
        if (manners().recipients_max > 0 && recipients_.size() >= manners().recipients_max)
            return say("452 4.5.3 too many recipients");
        World& world = host_.world_;
        const uint64_t who = std::hash<std::string>{}(address) ^ host_.salt_;
        const auto is = [&](double share, uint64_t kind) {
            return static_cast<double>((who * (2 * kind + 1) >> 20) % 10'000) < share * 10'000;
        };
        if (is(manners().unknown_user, 1)) {
            item->refused = true;
            return say("550 5.1.1 no such user");
        }
        if (is(manners().greylisted, 2)) {
            const auto [entry, is_new] = host_.greylist_.try_emplace(
                address, world.now() + world.some_time(1s, 60s));
            if (world.now() < entry->second) return say("451 4.7.1 greylisted");
        }
        if (world.chance(manners().mailbox_full)) return say("452 4.2.2 mailbox full");
        if (world.chance(manners().later_450)) return say("450 4.2.1 not now");
        recipients_.push_back(item);
        say("250 2.1.5 ok");
    }

    void begin_data() {
        if (!has_sender_) return say("503 5.5.1 MAIL first");
        if (recipients_.empty()) return say("554 5.5.1 no valid recipients");
        if (host_.world_.chance(manners().refuse_data)) return say("451 4.3.0 not now");
        in_data_ = true;
        say("354 go on");
    }

    void data() {
        in_data_ = false;
        std::string wire = take(end_of_content());
        input_.erase(0, 3);
        if (manners().swallows_behind_dot) input_.clear();
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
        if (world.chance(manners().content_4xx)) return say("451 4.3.0 not now");
        if (world.chance(manners().content_5xx)) {
            for (Item* item : recipients) item->refused = true;
            return say("554 5.7.1 not this");
        }
        if (world.chance(manners().lost_before_taken)) return leave(gone_how());
        std::vector<std::pair<Item*, size_t>> taken;
        for (Item* item : recipients) {
            world.trace("{} takes {}", host_.name_, item->address);
            taken.emplace_back(item, host_.book_.took(*item, link_, trusted_));
        }
        if (world.chance(manners().lost_after_taken)) return leave(gone_how());
        if (world.chance(manners().silent_after_taken)) {
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
            const bool own = !content.contains("\r\nto:") ||
                             content.contains("\r\nto:" + item->address);
            if (!whole || !own || sender != "b" + job + "@sender.test")
                host_.world_.fail("everybody gets their own mail, whole",
                                  item->address + " got another's, under " + sender);
        }
    }

    Host& host_;
    std::shared_ptr<Link> link_;
    std::string input_;
    uint64_t taken_in_ = 0;
    std::deque<std::pair<uint64_t, Instant>> sent_;  // up to which octet: when
    bool busy_ = false, gone_ = false, silent_ = false, trusted_ = true;
    uint32_t messages_ = 0;
    bool has_sender_ = false;
    std::string sender_;
    Instant mail_sent_{};
    std::vector<Item*> recipients_;  // that were accepted
    bool in_data_ = false;
    std::optional<size_t> chunk_left_;
    bool last_chunk_ = false;
    std::string content_;
};

Host::Host(World& world, Book& book, std::string name, std::string group, Manners manners)
    : world_(world),
      book_(book),
      name_(std::move(name)),
      group_(std::move(group)),
      manners_(manners),
      salt_(world.new_seed()) {}

Answer Host::connect(std::shared_ptr<Link> link) {
    Answer answer{.group = group_, .latency = manners_.latency};
    if (down_ || world_.chance(manners_.refuse)) {
        answer.kind = Answer::Kind::refuse;
    } else if (world_.chance(manners_.lose)) {
        answer.kind = Answer::Kind::lose;
    } else if (world_.chance(manners_.unreachable)) {
        answer.kind = Answer::Kind::unreachable;
    } else {
        answer.peer = std::make_shared<Dialogue>(*this, std::move(link));
    }
    world_.trace("connect to {}: {}", name_, static_cast<int>(answer.kind));
    return answer;
}

void Host::heal() {
    Manners good{.pipelining = manners_.pipelining,
                 .chunking = manners_.chunking,
                 .eight_bit = manners_.eight_bit,
                 .think = manners_.think,
                 .latency = manners_.latency};
    good.unknown_user = manners_.unknown_user;
    manners_ = good;
    down_ = false;
}

}  // namespace sim

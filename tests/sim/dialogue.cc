#include "tests/sim/dialogue.h"

#include <algorithm>
#include <array>

namespace sim {

namespace {
constexpr size_t line_bytes_max = 4096;
}

std::string between_brackets(std::string_view line) {
    const size_t open = line.find('<'), close = line.find('>');
    if (open == std::string_view::npos || close == std::string_view::npos) return {};
    return std::string(line.substr(open + 1, close - open - 1));
}

void Host::Dialogue::connected() {
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

void Host::Dialogue::leaving(std::string_view bytes) {
    if (tls_ || shakes_badly_) return;  // nobody can read it, and we tell no lies there
    leaving_ += bytes;
    for (size_t end; (end = leaving_.find("\r\n")) != std::string::npos;) {
        const std::string_view line = std::string_view(leaving_).substr(0, end);
        if (line.starts_with("RCPT TO:<")) {
            if (Item* item = host_.book_.item_of(between_brackets(line))) coming_.push_back(item);
        } else if (line.starts_with("MAIL FROM:<")) {
            senders_coming_.push_back(between_brackets(line));
        }
        leaving_.erase(0, end + 2);
    }
    if (!trusted_) lied_to_what_comes();
}

void Host::Dialogue::bytes(std::string bytes, Sent sent) {
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

void Host::Dialogue::ended() {
    gone_ = true;
    link_->close();
}

bool Host::Dialogue::tls_was(Instant since, engine::TlsPolicy least, engine::TlsPolicy most) const {
    return settings().all(since, host_.world_.now(), [&](const engine::Settings& one) {
        const engine::TlsPolicy policy = limits_of(one, host_.group_).tls;
        return policy >= least && policy <= most;
    });
}

std::string Host::Dialogue::provider() const {
    const std::string now = provider_name_of(settings().latest(), host_.group_);
    const bool sure = settings().all(
        mail_begun_ - Way::under_way, host_.world_.now(),
        [&](const engine::Settings& one) { return provider_name_of(one, host_.group_) == now; });
    return sure ? now : std::string();
}

void Host::Dialogue::say(const std::string& line, std::function<void()> read) {
    host_.world_.trace("{} > {}", host_.name_, line);
    if (std::exchange(holds_back_, false)) {
        held_.emplace(line, std::move(read));
        return;
    }
    write(line, std::move(read));
    if (const auto held = std::exchange(held_, std::nullopt)) write(held->first, held->second);
}

void Host::Dialogue::write(const std::string& line, std::function<void()> read) {
    if (!tls_) return link_->write(line + "\r\n", std::move(read));
    tls_->write(line + "\r\n");
    link_->write(tls_->take_output(), std::move(read));
}

bool Host::Dialogue::decrypt(std::string& bytes) {
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

void Host::Dialogue::start_tls() {
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

void Host::Dialogue::shake_badly() {
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

void Host::Dialogue::leave(void (Link::*how)()) {
    gone_ = true;
    (link_.get()->*how)();
}

void Host::Dialogue::went_wrong() {
    trusted_ = false;
    for (Item* item : asked_) item->lied_to = item->refused = true;
    host_.book_.lied_to_sender(sender_);
    lied_to_what_comes();
}

void Host::Dialogue::lied_to_what_comes() {
    for (Item* item : coming_) item->lied_to = item->refused = true;
    for (const std::string& sender : senders_coming_) host_.book_.lied_to_sender(sender);
}

void Host::Dialogue::pump() {
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

bool Host::Dialogue::something_whole() const {
    if (chunk_left_) return input_.size() >= *chunk_left_;
    if (in_data_) return end_of_content() != std::string::npos;
    return input_.find("\r\n") != std::string::npos || input_.size() > line_bytes_max;
}

size_t Host::Dialogue::end_of_content() const {
    if (input_.starts_with(".\r\n")) return 0;
    const size_t at = input_.find("\r\n.\r\n");
    return at == std::string::npos ? at : at + 2;
}

std::string Host::Dialogue::take(size_t size) {
    std::string taken = input_.substr(0, size);
    input_.erase(0, size);
    return taken;
}

void Host::Dialogue::step() {
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

bool Host::Dialogue::trouble() {
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

auto Host::Dialogue::gone_how() -> void (Link::*)() {
    return host_.world_.chance(0.5) ? &Link::reset : &Link::close;
}

}  // namespace sim

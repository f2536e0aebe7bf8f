#include "tests/sim/receiver.h"

#include "tests/sim/dialogue.h"

namespace sim {

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

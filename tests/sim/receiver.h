// Receiver: the host at the other end. It speaks SMTP byte by byte, behaves as its manners say, and
// keeps exactly what it accepted.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/delivery/settings.h"
#include "tests/sim/book.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

namespace sim {

/// Probabilities are per command (or connection, where it says so) unless they are of a recipient.
struct Manners {
    bool pipelining = true, chunking = false, eight_bit = true;
    bool swallows_behind_dot = false;
    /// What comes of STARTTLS; everything behind `good` keeps the line from getting there.
    enum class Tls : uint8_t { absent, good, refused, broken, cut, silent, injected };
    Tls tls = Tls::absent;
    Nanoseconds tarpit{0};        // for each command, beside its thought
    uint32_t messages_max = 0;    // of a connection; 0: any number
    uint32_t recipients_max = 0;  // of a transaction
    Nanoseconds think{200us}, latency{1ms};
    // of a connection
    double refuse = 0, lose = 0, unreachable = 0;
    double bad_banner = 0;
    double reads_slowly = 0;
    // of a command
    double reset = 0, close = 0, silent = 0, closing_421 = 0, garbage = 0, extra_reply = 0;
    double wrong_order = 0;
    double refuse_data = 0;
    // of a content
    double cut_in_content = 0;  // for each piece of it
    double lost_before_taken = 0, lost_after_taken = 0, silent_after_taken = 0;
    double content_4xx = 0, content_5xx = 0;
    // of a recipient
    double greylisted = 0, unknown_user = 0, mailbox_full = 0, later_450 = 0;
};
Manners draw_manners(World& world);

class Host {
  public:
    struct Names {
        std::string host, group, site;
    };
    Host(World& world, Book& book, Names names, Manners manners);

    Answer connect(std::shared_ptr<Link> link);
    /// From now on it does its best; who is unknown stays unknown.
    enum class Tls : uint8_t { as_it_likes, demanded };  // by whomever comes, some time
    void heal(Tls tls);
    void down(bool is_down) { down_ = is_down; }

    const std::string& name() const { return name_; }

  private:
    class Dialogue;
    friend Dialogue;

    World& world_;
    Book& book_;
    std::string name_, group_, site_;
    Manners manners_;
    bool down_ = false;
    uint64_t salt_;                            // who its users are
    std::map<std::string, Instant> greylist_;  // when each may come again
};

}  // namespace sim

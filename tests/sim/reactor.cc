#include "tests/sim/reactor.h"

#include <cerrno>
#include <cstddef>

#include "metrics/check.h"
#include "tests/sim/network.h"

namespace sim {

namespace {
// Sometimes a turn ends early: "this turn or the next" must be enough for everybody.
constexpr double short_turn = 0.1;

Op& op_of(engine::TimerNode& node) {
    return *reinterpret_cast<Op*>(reinterpret_cast<char*>(&node) - offsetof(Op, timer));
}
}  // namespace

Reactor::Reactor(World& world, Network& network)
    : world_(world),
      network_(network),
      now_(world.now()),
      wall_(world.now(), world.machine_wall().time_since_epoch()),
      timers_(world.now()),
      random_(world.new_seed()) {}

Reactor::~Reactor() {
    CHECK(pending_.empty() && ready_.empty(), "a reactor died while tasks wait for it");
}

engine::Result<int> Reactor::open_socket(int, const engine::SocketAddress* bind_to) {
    return network_.open(*this, bind_to != nullptr ? bind_to->ip() : std::string());
}
engine::Result<int> Reactor::listen_on(const engine::SocketAddress&, int) {
    return engine::failure(engine::Errc::system, "the simulation has no listeners");
}
engine::Result<engine::SocketAddress> Reactor::local_address(int) const {
    return *engine::SocketAddress::from_ip("10.255.0.1", 40'000);
}
engine::Result<engine::SocketAddress> Reactor::peer_address(int fd) const {
    return network_.peer_of(fd);
}
void Reactor::close_socket(int fd) {
    network_.close(fd);
}

void Reactor::submit(Op& op) {
    CHECK(op.slot == nullptr, "an operation was submitted twice");
    op.slot = this;
    op.result = 0;
    pending_.insert(&op);
    if (op.deadline != Instant::max()) timers_.add(op.timer, op.deadline);
    if (op.kind != Op::Kind::sleep) network_.submit(*this, op);
}

void Reactor::cancel(Op& op) {
    if (op.slot == nullptr) return;  // it has completed already
    if (op.kind != Op::Kind::sleep) network_.forget(op);
    complete(op, -ECANCELED);
}

void Reactor::complete(Op& op, int result) {
    op.result = result;
    op.slot = nullptr;
    timers_.remove(op.timer);
    pending_.erase(&op);
    ready_.push_back(op.waiter);
}

uint16_t Reactor::fill_buffer(std::string bytes) {
    if (free_buffers_.empty()) {
        buffers_.emplace_back();
        free_buffers_.push_back(static_cast<uint16_t>(buffers_.size() - 1));
    }
    const uint16_t buffer = free_buffers_.back();
    free_buffers_.pop_back();
    buffers_[buffer] = std::make_unique<std::string>(std::move(bytes));
    ++buffers_out_;
    return buffer;
}

std::string_view Reactor::bytes(const Op& recv) const {
    CHECK(buffers_[recv.buffer] != nullptr, "a look at a buffer that was given back");
    return *buffers_[recv.buffer];
}

void Reactor::release(uint16_t buffer) {
    CHECK(buffer < buffers_.size() && buffers_[buffer], "a buffer was given back twice");
    buffers_[buffer].reset();
    free_buffers_.push_back(buffer);
    --buffers_out_;
}

bool Reactor::runnable() const {
    if (!ready_.empty() || timers_.next_expiry() <= world_.now()) return true;
    for (const engine::Source* source : sources_)
        if (source->pending()) return true;
    return false;
}

void Reactor::expire() {
    for (engine::TimerNode* node = timers_.advance(now_); node != nullptr;) {
        Op& op = op_of(*node);
        node = node->next;
        if (op.kind != Op::Kind::sleep) network_.forget(op);
        complete(op, op.kind == Op::Kind::sleep ? 0 : -ETIME);
    }
}

bool Reactor::turn(Instant) {
    now_ = world_.now();
    for (engine::Source* source : sources_) source->drain();
    expire();
    for (engine::Source* source : sources_) source->drain();
    size_t left = world_.chance(short_turn) ? 1 + world_.draw(8) : SIZE_MAX;
    for (; left > 0 && !ready_.empty() && !world_.failure(); --left) {
        const std::coroutine_handle<> next = ready_.front();
        ready_.pop_front();
        next.resume();
    }
    return true;
}

}  // namespace sim

#include "tests/sim/network.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "metrics/check.h"
#include "tests/sim/reactor.h"

namespace sim {

using engine::Op;

namespace {
constexpr double split = 0.3;           // of what is sent or read: it goes in pieces
constexpr size_t chunks_per_send = 64;  // of the engine's TcpStream; a write of more is several
}  // namespace

// --- the peer's side

void Link::write(std::string bytes, std::function<void()> read) {
    if (closed_there_ || closed_here_) return;
    World& world = network_.world_;
    written_ += bytes.size();
    if (read) watches_.push_back({written_, std::move(read)});
    while (!bytes.empty()) {
        size_t size = bytes.size();
        if (!network_.calm_ && world.chance(split)) size = 1 + world.draw(size);
        world.at(later(last_down_),
                 [link = shared_from_this(), piece = bytes.substr(0, size)]() mutable {
                     link->arrived(std::move(piece));
                 });
        bytes.erase(0, size);
    }
}

void Link::close() {
    if (std::exchange(closed_there_, true)) return;
    network_.world_.at(later(last_down_), [link = shared_from_this()] { link->end(End::closed); });
}

void Link::reset() {
    if (std::exchange(closed_there_, true)) return;
    network_.world_.after(latency_, [link = shared_from_this()] { link->end(End::reset); });
}

// --- the engine's side

Instant Link::later(Instant& last, Nanoseconds extra) {
    World& world = network_.world_;
    Nanoseconds travel = latency_ + extra;
    if (!network_.calm_ && world.chance(0.1)) travel += world.some_time(10us, 300ms);
    return last = std::max(last, world.now() + travel);
}

size_t Link::window() const {
    return in_flight_ >= window_ ? 0 : window_ - in_flight_;
}

void Link::connect(Op& op) {
    CHECK(!connector_ && !established_, "a socket is connected twice");
    World& world = network_.world_;
    connector_ = &op;
    address_ = *op.address;
    Answer answer = network_.listener_(*op.address, shared_from_this());
    host_ = std::move(answer.group);
    peer_ = std::move(answer.peer);
    latency_ = answer.latency;
    if (!network_.calm_ && world.chance(0.2)) window_ = 1 + world.draw(8192);
    network_.tell(*this, true);
    ++network_.connections_;
    if (answer.kind == Answer::Kind::lose) return;  // the deadline ends it
    const int result = answer.kind == Answer::Kind::accept   ? 0
                       : answer.kind == Answer::Kind::refuse ? -ECONNREFUSED
                                                             : -EHOSTUNREACH;
    world.at(later(last_down_), [link = shared_from_this(), result] {
        if (link->connector_ == nullptr) return;  // given up meanwhile
        link->owner_.complete(*std::exchange(link->connector_, nullptr), result);
        if (result == 0) link->connected();
    });
}

void Link::connected() {
    established_ = true;
    network_.world_.at(later(last_up_), [link = shared_from_this()] {
        if (!link->closed_there_) link->peer_->connected();
    });
}

void Link::send(Op& op) {
    if (end_ == End::reset) return owner_.complete(op, -ECONNRESET);
    CHECK(sender_ == nullptr, "two sends on one socket");
    sender_ = &op;
    if (!write_goes_on_) write_.at = network_.world_.now();
    if (!may_go_on_) write_.begun = network_.world_.now();
    serve_waiters();
}

void Link::arrive(Arrival arrival) {
    arrived_.push_back(std::move(arrival));
    hand_over();
}

/// To the peer, when it reads.
void Link::hand_over() {
    while (!arrived_.empty()) {
        if (!closed_there_ && paused_until_ > network_.world_.now()) {
            network_.world_.at(paused_until_, [link = shared_from_this()] { link->hand_over(); });
            return;
        }
        Arrival next = std::move(arrived_.front());
        arrived_.pop_front();
        in_flight_ -= next.bytes.size();
        if (closed_there_) {
            // Nobody is there any more: the answer is a reset, also after an orderly close.
            network_.world_.after(latency_, [link = shared_from_this()] { link->end(End::reset); });
        } else if (next.bytes.empty()) {
            peer_->ended();
        } else {
            peer_->bytes(std::move(next.bytes), next.sent);
        }
    }
    serve_waiters();
}

void Link::receive(Op& op) {
    CHECK(receiver_ == nullptr, "two receives on one socket");
    receiver_ = &op;
    serve_waiters();
}

void Link::arrived(std::string bytes) {
    if (closed_here_ || end_ == End::reset) return;
    inbox_ += bytes;
    serve_waiters();
}

void Link::end(End how) {
    if (closed_here_ || end_ == End::reset) return;
    end_ = how;
    serve_waiters();
}

/// Ends the operations that can end now.
void Link::serve_waiters() {
    World& world = network_.world_;
    if (receiver_ && !inbox_.empty()) {
        size_t size = std::min(inbox_.size(), Reactor::buffer_bytes);
        if (!network_.calm_ && world.strikes(Fault::short_read, split)) size = 1 + world.draw(size);
        Op& op = *std::exchange(receiver_, nullptr);
        op.buffer = owner_.fill_buffer(inbox_.substr(0, size));
        inbox_.erase(0, size);
        read_ += size;
        owner_.complete(op, static_cast<int>(size));
        for (; !watches_.empty() && watches_.front().upto <= read_; watches_.pop_front())
            watches_.front().read();
    } else if (receiver_ && end_ != End::open) {
        owner_.complete(*std::exchange(receiver_, nullptr), end_ == End::reset ? -ECONNRESET : 0);
    }
    if (sender_ && end_ == End::reset) {
        owner_.complete(*std::exchange(sender_, nullptr), -EPIPE);
    } else if (sender_ && window() > 0) {
        Op& op = *std::exchange(sender_, nullptr);
        std::string bytes;
        for (const iovec& chunk : op.chunks)
            bytes.append(static_cast<const char*>(chunk.iov_base), chunk.iov_len);
        size_t size = std::min(bytes.size(), window());
        if (!network_.calm_ && world.strikes(Fault::short_write, split))
            size = 1 + world.draw(size);
        write_goes_on_ = size < bytes.size();
        may_go_on_ = write_goes_on_ || op.chunks.size() >= chunks_per_send;
        bytes.resize(size);
        in_flight_ += size;
        network_.bytes_ += size;
        owner_.complete(op, static_cast<int>(size));
        peer_->leaving(bytes);
        const Peer::Sent sent = write_;
        while (!bytes.empty()) {
            size_t piece = bytes.size();
            if (!network_.calm_ && world.chance(split)) piece = 1 + world.draw(piece);
            world.at(later(last_up_), [link = shared_from_this(),
                                       part = Arrival{bytes.substr(0, piece), sent}]() mutable {
                link->arrive(std::move(part));
            });
            bytes.erase(0, piece);
        }
    }
}

// --- Network

Network::Network(World& world, Listener listener) : world_(world), listener_(std::move(listener)) {}
Network::~Network() {
    for (const std::weak_ptr<Link>& weak : all_)
        if (const auto link = weak.lock()) link->peer_.reset();
}

engine::Result<int> Network::open(Reactor& reactor, std::string source) {
    const int fd = ++last_fd_;
    const std::shared_ptr<Link> link(new Link(*this, reactor, fd, std::move(source)));
    links_.emplace(fd, link);
    all_.push_back(link);
    return fd;
}

engine::Result<engine::SocketAddress> Network::peer_of(int fd) const {
    return links_.at(fd)->address_;
}

void Network::tell(const Link& link, bool opened) {
    if (on_connections_) on_connections_({link.fd_, link.host_, link.source_, opened});
}

void Network::close(int fd) {
    const auto found = links_.find(fd);
    CHECK(found != links_.end(), "a socket was closed twice");
    const std::shared_ptr<Link> link = found->second;
    links_.erase(found);
    if (link->address_.size > 0) tell(*link, false);
    link->closed_here_ = true;
    link->closed_at_ = world_.now();
    for (Op** op : {&link->connector_, &link->receiver_, &link->sender_})
        if (*op != nullptr) link->owner_.complete(*std::exchange(*op, nullptr), -ECANCELED);
    if (!link->established_) return;
    world_.at(link->later(link->last_up_), [link] { link->arrive({{}, {}}); });
}

void Network::submit(Reactor& reactor, Op& op) {
    const auto found = links_.find(op.fd);
    if (found == links_.end()) return reactor.complete(op, -EBADF);
    Link& link = *found->second;
    switch (op.kind) {
        case Op::Kind::connect:
            return link.connect(op);
        case Op::Kind::send:
            return link.send(op);
        case Op::Kind::recv:
            return link.receive(op);
        case Op::Kind::accept:
        case Op::Kind::poll:
        case Op::Kind::sleep:
            CHECK(false, "the simulated network has no such operation");
    }
}

void Network::forget(Op& op) {
    const auto found = links_.find(op.fd);
    if (found == links_.end()) return;
    Link& link = *found->second;
    for (Op** waiting : {&link.connector_, &link.receiver_, &link.sender_})
        if (*waiting == &op) *waiting = nullptr;
}

void Network::crash(Reactor& reactor) {
    std::vector<std::shared_ptr<Link>> gone;
    for (const auto& [fd, link] : links_)
        if (&link->owner_ == &reactor) gone.push_back(link);
    for (const std::shared_ptr<Link>& link : gone) {
        link->connector_ = link->receiver_ = link->sender_ = nullptr;
        close(link->fd_);
    }
}

size_t Network::open_sockets(const Reactor& reactor) const {
    return static_cast<size_t>(std::ranges::count_if(
        links_, [&](const auto& entry) { return &entry.second->owner_ == &reactor; }));
}

}  // namespace sim

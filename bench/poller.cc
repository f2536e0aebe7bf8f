#include "bench/poller.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace bench {
namespace {

constexpr int events_a_turn = 256;

}  // namespace

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0)
        throw std::runtime_error(fmt::format("epoll_create1: {}", std::strerror(errno)));
}

Poller::~Poller() {
    ::close(epoll_);
}

void Poller::watch(int fd, uint32_t events, Callback callback) {
    if (size_t(fd) >= callbacks_.size()) callbacks_.resize(size_t(fd) + 1);
    callbacks_[size_t(fd)] = std::make_unique<Callback>(std::move(callback));
    epoll_event event{.events = events, .data = {.fd = fd}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) < 0)
        throw std::runtime_error(fmt::format("epoll_ctl: {}", std::strerror(errno)));
}

void Poller::change(int fd, uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void Poller::forget(int fd) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    forgotten_.push_back(std::move(callbacks_[size_t(fd)]));
}

int Poller::turn(std::chrono::milliseconds timeout) {
    std::array<epoll_event, events_a_turn> events;
    int count = epoll_wait(epoll_, events.data(), events_a_turn, int(timeout.count()));
    for (int i = 0; i < count; ++i) {
        Callback* callback = callbacks_[size_t(events[size_t(i)].data.fd)].get();
        if (callback) (*callback)(events[size_t(i)].events);
    }
    forgotten_.clear();
    return count < 0 ? 0 : count;
}

}  // namespace bench

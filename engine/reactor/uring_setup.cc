// Creation of the ring: what the kernel must offer, and what to say when it does not.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>

#include "engine/reactor/uring_reactor.h"
#include "metrics/check.h"

namespace engine {

namespace {
constexpr io_uring_op needed_operations[] = {
    IORING_OP_ACCEPT,  IORING_OP_CONNECT,  IORING_OP_RECV,         IORING_OP_SEND,
    IORING_OP_SENDMSG, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE,
};
// Multishot receive has no operation code of its own; this one came with it and stands for it in
// the probe.
constexpr io_uring_op companion_of_multishot = IORING_OP_SEND_ZC;

std::unexpected<Error> denied(int negative_errno) {
    const std::string start = "cannot create an io_uring: ";
    switch (-negative_errno) {
        case EPERM: {
            std::ifstream file("/proc/sys/kernel/io_uring_disabled");
            int level = 0;
            if (file >> level && level > 0) {
                return failure(Errc::system,
                               start + "EPERM because kernel.io_uring_disabled is " +
                                   std::to_string(level) +
                                   "; set it to 0 (sysctl kernel.io_uring_disabled=0), or to 1 and "
                                   "this user's group in kernel.io_uring_group",
                               EPERM);
            }
            return failure(Errc::system,
                           start +
                               "EPERM from a seccomp filter, as containers have by default; run "
                               "it with a profile that allows io_uring_setup, io_uring_enter and "
                               "io_uring_register (docker run --security-opt seccomp=FILE)",
                           EPERM);
        }
        case ENOSYS:
            return failure(Errc::system,
                           start +
                               "ENOSYS, this kernel has none or a seccomp filter hides it; use "
                               "Linux 6.1 or newer with CONFIG_IO_URING",
                           ENOSYS);
        case EINVAL:
            return failure(Errc::system,
                           start +
                               "EINVAL, this kernel does not know DEFER_TASKRUN; use Linux 6.1 or "
                               "newer",
                           EINVAL);
        case ENOMEM:
            return failure(Errc::system,
                           start +
                               "ENOMEM, the limit of locked memory is too low; raise "
                               "RLIMIT_MEMLOCK (LimitMEMLOCK=64M in the systemd unit, ulimit -l)",
                           ENOMEM);
        case EMFILE:
        case ENFILE:
            return failure(Errc::busy,
                           start +
                               "no file descriptor is left; raise RLIMIT_NOFILE (LimitNOFILE= "
                               "in the systemd unit, ulimit -n)",
                           -negative_errno);
        default:
            return std::unexpected(error_of(negative_errno, start + "io_uring_setup"));
    }
}

Result<void> check_operations(io_uring& ring) {
    io_uring_probe* known = io_uring_get_probe_ring(&ring);
    if (known == nullptr) return denied(-EINVAL);
    std::string missing;
    for (const io_uring_op operation : needed_operations) {
        if (!io_uring_opcode_supported(known, operation)) {
            missing += " " + std::to_string(operation);
        }
    }
    const bool multishot = io_uring_opcode_supported(known, companion_of_multishot) != 0;
    io_uring_free_probe(known);
    if (!missing.empty()) {
        return failure(Errc::system, "this kernel's io_uring lacks the operations" + missing +
                                         "; use Linux 6.1 or newer");
    }
    if (!multishot) {
        return failure(Errc::system,
                       "this kernel's io_uring has no multishot receive; use Linux 6.1 "
                       "or newer");
    }
    return {};
}

/// liburing 2.3 declares io_uring_enable_rings and io_uring_register_restrictions but does not
/// export them.
int register_with(io_uring& ring, unsigned operation, void* argument, unsigned count) {
    const long rc = syscall(__NR_io_uring_register, ring.ring_fd, operation, argument, count);
    return rc < 0 ? -errno : static_cast<int>(rc);
}

/// seccomp cannot see what is submitted to a ring, so the ring itself refuses all but what we use.
int restrict_ring(io_uring& ring) {
    std::vector<io_uring_restriction> rules;
    for (const io_uring_op operation : needed_operations) {
        io_uring_restriction rule{};
        rule.opcode = IORING_RESTRICTION_SQE_OP;
        rule.sqe_op = operation;
        rules.push_back(rule);
    }
    for (const uint8_t operation :
         {IORING_REGISTER_ENABLE_RINGS, IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS}) {
        io_uring_restriction rule{};
        rule.opcode = IORING_RESTRICTION_REGISTER_OP;
        rule.register_op = operation;
        rules.push_back(rule);
    }
    io_uring_restriction flags{};
    flags.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    flags.sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    rules.push_back(flags);
    return register_with(ring, IORING_REGISTER_RESTRICTIONS, rules.data(),
                         static_cast<unsigned>(rules.size()));
}
}  // namespace

Result<std::unique_ptr<UringReactor>> UringReactor::create(UringOptions options) {
    std::unique_ptr<UringReactor> reactor(new UringReactor);
    if (auto opened = reactor->open(options); !opened) {
        return std::unexpected(std::move(opened).error());
    }
    return reactor;
}

Result<void> UringReactor::probe() {
    auto reactor = create({.entries = 8, .buffer_count = 8, .buffer_count_max = 8});
    if (!reactor) return std::unexpected(std::move(reactor).error());
    return {};
}

Result<void> UringReactor::open(const UringOptions& options) {
    io_uring_params params{};
    // Completions are made only inside our own enter calls (DEFER_TASKRUN), so nothing interrupts
    // the shard; disabled, because a SINGLE_ISSUER ring belongs to the thread that enables it, and
    // restrictions come before that.
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                   IORING_SETUP_R_DISABLED;
    params.cq_entries = options.entries * 4;
    if (const int rc = io_uring_queue_init_params(options.entries, &ring_, &params); rc < 0) {
        return denied(rc);
    }
    open_ = true;
    if (auto checked = check_operations(ring_); !checked) return checked;
    const BufferPool::Size size{.count = options.buffer_count,
                                .count_max = options.buffer_count_max,
                                .bytes = options.buffer_bytes};
    if (auto opened = pool_.open(ring_, size); !opened) return opened;
    if (const int rc = restrict_ring(ring_); rc < 0) {
        return std::unexpected(error_of(rc, "io_uring_register_restrictions"));
    }
    wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd_ < 0) return std::unexpected(error_of(-errno, "eventfd"));
    headers_.resize(params.sq_entries);
    now_ = awake_since_ = std::chrono::steady_clock::now();
    timers_.emplace(now_);
    std::random_device seed;
    random_.seed(uint64_t{seed()} << 32 | seed());
    return {};
}

void UringReactor::start() {
    started_ = true;
    CHECK(register_with(ring_, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0,
          "io_uring_enable_rings failed");
    // Spares a lookup of the ring's file in each enter. It may fail, and costs only that then.
    io_uring_register_ring_fd(&ring_);
    io_uring_sqe& sqe = tagged_sqe(nullptr, Tag::wake);
    io_uring_prep_poll_multishot(&sqe, wake_fd_, POLLIN);
    now_ = awake_since_ = std::chrono::steady_clock::now();
}

UringReactor::~UringReactor() {
    if (open_) {
        if (started_) io_uring_submit(&ring_);  // the closes that wait in the queue
        io_uring_queue_exit(&ring_);
    }
    for (const auto& socket : sockets_) {
        if (!socket) continue;
        if (socket->listener) drop_inbox(*socket);
        if (socket->closing) ::close(socket->fd);
    }
    if (wake_fd_ >= 0) ::close(wake_fd_);
}

}  // namespace engine

// What can go wrong in the simulated world, by kind, and how often it has.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sim {

// clang-format off
#define SIM_FAULTS(X)                                                                             \
    /* troubles of a plan */                                                                      \
    X(drain, "drain")                             /* an orderly restart */                        \
    X(kill, "kill")                               /* the process dies between two steps */        \
    X(kill_at_work, "kill at work")               /* when the disk is done, and nobody knows */   \
    X(power_cut, "power cut")                     /* what is not synced may be gone */            \
    X(power_at_sync, "power cut at a sync")       /* the same in the middle of a commit */        \
    X(disk_error, "disk error")                   /* one write or sync of the log fails */        \
    X(disk_full, "disk full")                     /* for a while */                               \
    X(host_down, "host down")                     /* for a while */                               \
    X(dns_down, "DNS down")                       /* for a while */                               \
    X(new_route, "new route")                     /* a domain moves to other hosts */             \
    X(clock_forwards, "clock set forwards")       /* by a day at most */                          \
    X(clock_backwards, "clock set backwards")                                                     \
    X(suspension, "suspension")                   /* an operator holds mail back for a while */   \
    X(detour, "detour")                           /* or sends it another way */                   \
    X(cancellation, "cancellation")                                                               \
    X(busy_shard, "busy shard")                   /* for some seconds */                          \
    X(spread, "spread")                           /* so a site was spread over all shards */      \
    X(listed, "listed")                           /* recipients are put on a suppression list */  \
    X(unlisted, "unlisted")                       /* or taken from it */                          \
    X(reload, "reload")                           /* other settings while mail flows */           \
    /* of the storage and the DNS */                                                              \
    X(disk_operation, "disk operation")           /* writes and syncs that one of these failed */ \
    X(slow_disk, "slow disk")                                                                     \
    X(dns_failed, "DNS failed")                                                                   \
    X(dns_slow, "DNS slow")                                                                       \
    /* of the network */                                                                          \
    X(short_write, "short write")                                                                 \
    X(short_read, "short read")                                                                   \
    X(refused, "refused")                                                                         \
    X(lost_connect, "connect lost")                                                               \
    X(unreachable, "unreachable")                                                                 \
    /* of a receiver */                                                                           \
    X(bad_banner, "bad banner")                                                                   \
    X(slow_reader, "slow reader")                                                                 \
    X(tarpit, "tarpit")                           /* answers that took seconds */                 \
    X(reset, "reset")                                                                             \
    X(closed, "closed")                                                                           \
    X(silent, "silent")                                                                           \
    X(said_421, "421")                                                                            \
    X(garbage, "garbage")                                                                         \
    X(extra_reply, "extra reply")                                                                 \
    X(wrong_order, "wrong order")                 /* of two replies */                            \
    X(swallowed, "swallowed")                     /* commands behind a content */                 \
    X(too_many_messages, "message limit")                                                         \
    X(too_many_recipients, "recipient limit")                                                     \
    X(unknown_user, "unknown user")                                                               \
    X(greylisted, "greylisted")                                                                   \
    X(mailbox_full, "mailbox full")                                                               \
    X(later_450, "450")                                                                           \
    X(data_refused, "DATA refused")                                                               \
    X(cut_in_content, "cut in content")                                                           \
    X(content_4yz, "content 4yz")                                                                 \
    X(content_5yz, "content 5yz")                                                                 \
    X(lost_before_taken, "lost before taken")                                                     \
    X(lost_after_taken, "lost after taken")                                                       \
    X(silent_after_taken, "silent after taken")                                                   \
    /* of STARTTLS */                                                                             \
    X(tls_refused, "STARTTLS refused")                                                            \
    X(tls_broken, "handshake broken")                                                             \
    X(tls_cut, "handshake cut")                                                                   \
    X(tls_injected, "STARTTLS injected")          /* plaintext behind its reply */

enum class Fault : uint8_t {
#define SIM_FAULT(name, words) name,
    SIM_FAULTS(SIM_FAULT)
#undef SIM_FAULT
};
inline constexpr std::array fault_names{
#define SIM_FAULT(name, words) std::string_view(words),
    SIM_FAULTS(SIM_FAULT)
#undef SIM_FAULT
};
// clang-format on
inline constexpr size_t fault_kinds = fault_names.size();

using FaultCounts = std::array<uint64_t, fault_kinds>;

inline std::string_view name_of(Fault fault) {
    return fault_names[static_cast<size_t>(fault)];
}

}  // namespace sim

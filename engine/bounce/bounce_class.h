// BounceClass: why mail was not taken, sorted as operators know it from KumoMTA and PowerMTA. The
// list is fixed: the classes are labels of a metric.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace engine {

enum class BounceClass : uint8_t {
    invalid_recipient,      // no such mailbox
    inactive_mailbox,       // there was one, or it is switched off
    bad_domain,             // the domain does not exist or takes no mail
    dns_failure,            // the DNS gave no answer
    quota_issues,           // the mailbox is full
    spam_block,             // the sending address or domain has a bad name
    spam_content,           // this mail looks like spam
    prohibited_attachment,  // a kind of file that is not taken
    virus_related,          // malware, or what was taken for it
    policy_related,         // a rule of the receiver's
    authentication_failed,  // SPF, DKIM, DMARC
    invalid_sender,         // the envelope sender or From is not acceptable
    content_related,        // too large or malformed
    relaying_denied,        // the host does not feel responsible for the recipient
    too_many_recipients,    // in one transaction
    throttled,              // too much, too fast; the site is slowed down for it
    greylisted,             // come again
    transient_failure,      // the receiver has trouble of its own
    no_answer_from_host,    // nobody there, or silent
    bad_connection,         // cut
    routing_errors,         // loops, too many hops, no usable address
    protocol_errors,        // the dialogue went wrong
    bad_configuration,      // ours or theirs: names, reverse DNS, credentials
    message_expired,        // its time is over
    other
};
inline constexpr size_t bounce_class_count = static_cast<size_t>(BounceClass::other) + 1;

/// What to do about it. hard: never write there again; soft: another time may be fine; block: they
/// do not want it from us; admin: somebody has to mend something; undetermined.
enum class BounceKind : uint8_t { hard, soft, block, admin, undetermined };

std::string_view to_string(BounceClass klass);
std::string_view to_string(BounceKind kind);
BounceKind kind_of(BounceClass klass);
std::optional<BounceClass> parse_bounce_class(std::string_view name);

}  // namespace engine

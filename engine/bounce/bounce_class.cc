#include "engine/bounce/bounce_class.h"

#include <array>

namespace engine {

namespace {

struct Named {
    std::string_view name;
    BounceKind kind;
};

// In the order of BounceClass.
constexpr std::array<Named, bounce_class_count> classes = {{
    {"invalid_recipient", BounceKind::hard},
    {"inactive_mailbox", BounceKind::hard},
    {"bad_domain", BounceKind::hard},
    {"dns_failure", BounceKind::soft},
    {"quota_issues", BounceKind::soft},
    {"spam_block", BounceKind::block},
    {"spam_content", BounceKind::block},
    {"prohibited_attachment", BounceKind::block},
    {"virus_related", BounceKind::block},
    {"policy_related", BounceKind::block},
    {"authentication_failed", BounceKind::block},
    {"invalid_sender", BounceKind::admin},
    {"content_related", BounceKind::soft},
    {"relaying_denied", BounceKind::admin},
    {"too_many_recipients", BounceKind::soft},
    {"throttled", BounceKind::soft},
    {"greylisted", BounceKind::soft},
    {"transient_failure", BounceKind::soft},
    {"no_answer_from_host", BounceKind::soft},
    {"bad_connection", BounceKind::soft},
    {"routing_errors", BounceKind::undetermined},
    {"protocol_errors", BounceKind::admin},
    {"bad_configuration", BounceKind::admin},
    {"message_expired", BounceKind::soft},
    {"other", BounceKind::undetermined},
}};

}  // namespace

std::string_view to_string(BounceClass klass) {
    return classes[static_cast<size_t>(klass)].name;
}

BounceKind kind_of(BounceClass klass) {
    return classes[static_cast<size_t>(klass)].kind;
}

std::string_view to_string(BounceKind kind) {
    switch (kind) {
        case BounceKind::hard:
            return "hard";
        case BounceKind::soft:
            return "soft";
        case BounceKind::block:
            return "block";
        case BounceKind::admin:
            return "admin";
        case BounceKind::undetermined:
            break;
    }
    return "undetermined";
}

std::optional<BounceClass> parse_bounce_class(std::string_view name) {
    for (size_t i = 0; i < classes.size(); ++i)
        if (classes[i].name == name) return static_cast<BounceClass>(i);
    return std::nullopt;
}

}  // namespace engine

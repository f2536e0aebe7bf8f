#include "engine/bounce/bounce_codes.h"

#include <algorithm>
#include <iterator>

namespace engine {

namespace {

using enum BounceClass;

struct Detail {
    std::string_view subject_and_detail;
    BounceClass temporary, permanent;
};

// RFC 3463 and what IANA has registered since (7.8 to 7.31: RFC 4954, 7372, 7489, 7505, 8689).
constexpr Detail details[] = {
    {"1.0", transient_failure, invalid_recipient},
    {"1.1", transient_failure, invalid_recipient},
    {"1.2", dns_failure, bad_domain},
    {"1.3", protocol_errors, invalid_recipient},
    {"1.4", transient_failure, invalid_recipient},
    {"1.6", inactive_mailbox, inactive_mailbox},
    {"1.7", invalid_sender, invalid_sender},
    {"1.8", invalid_sender, invalid_sender},
    {"1.10", bad_domain, bad_domain},
    {"2.0", transient_failure, invalid_recipient},
    {"2.1", inactive_mailbox, inactive_mailbox},
    {"2.2", quota_issues, quota_issues},
    {"2.3", content_related, content_related},
    {"2.4", bad_configuration, bad_configuration},
    {"3.0", transient_failure, bad_configuration},
    {"3.1", transient_failure, transient_failure},
    {"3.2", transient_failure, bad_configuration},
    {"3.3", bad_configuration, bad_configuration},
    {"3.4", content_related, content_related},
    {"3.5", transient_failure, bad_configuration},
    {"4.0", routing_errors, routing_errors},
    {"4.1", no_answer_from_host, no_answer_from_host},
    {"4.2", bad_connection, bad_connection},
    {"4.3", dns_failure, dns_failure},
    {"4.4", routing_errors, routing_errors},
    {"4.5", throttled, throttled},
    {"4.6", routing_errors, routing_errors},
    {"4.7", message_expired, message_expired},
    {"5.3", too_many_recipients, too_many_recipients},
    {"7.8", bad_configuration, bad_configuration},
    {"7.9", bad_configuration, bad_configuration},
    {"7.20", authentication_failed, authentication_failed},
    {"7.21", authentication_failed, authentication_failed},
    {"7.22", authentication_failed, authentication_failed},
    {"7.23", authentication_failed, authentication_failed},
    {"7.24", authentication_failed, authentication_failed},
    {"7.25", bad_configuration, bad_configuration},
    {"7.26", authentication_failed, authentication_failed},
    {"7.27", invalid_sender, invalid_sender},
    {"7.28", throttled, throttled},
};

}  // namespace

std::optional<BounceClass> class_of_enhanced(std::string_view enhanced) {
    if (enhanced.size() < 5) return std::nullopt;
    const bool temporary = enhanced.front() == '4';
    const std::string_view detail = enhanced.substr(2);
    const auto* const found = std::ranges::find(details, detail, &Detail::subject_and_detail);
    if (found != std::end(details)) return temporary ? found->temporary : found->permanent;
    if (detail.starts_with("5.")) return protocol_errors;
    if (detail.starts_with("6.")) return content_related;
    if (detail.starts_with("7.")) return policy_related;
    if (detail.starts_with("4.")) return routing_errors;
    return std::nullopt;
}

std::optional<BounceClass> class_of_failure(Failure failure) {
    switch (failure) {
        case Failure::none:
        case Failure::end_of_connection:
            return std::nullopt;  // the reply says more
        case Failure::no_domain:
        case Failure::null_mx:
        case Failure::bad_name:
            return bad_domain;
        case Failure::dns_failed:
        case Failure::policy_unknown:
            return dns_failure;
        case Failure::no_address:
        case Failure::address_refused:
        case Failure::own_host:
            return routing_errors;
        case Failure::refused:
        case Failure::no_answer:
        case Failure::unreachable:
        case Failure::timeout:
            return no_answer_from_host;
        case Failure::closed:
        case Failure::cut:
            return bad_connection;
        case Failure::garbage:
        case Failure::out_of_step:
        case Failure::dialogue:
            return protocol_errors;
        case Failure::transaction_full:
            return too_many_recipients;
        case Failure::cannot_carry:
            return content_related;
        case Failure::no_tls:
        case Failure::tls_failed:
        case Failure::tls_untrusted:
            return policy_related;
        case Failure::no_credentials:
        case Failure::content_lost:
            return bad_configuration;
    }
    return std::nullopt;
}

BounceClass class_of_code(uint16_t code, Stage stage) {
    const bool opening = stage == Stage::connect || stage == Stage::banner || stage == Stage::ehlo;
    switch (code) {
        case 521:
        case 556:
            return bad_domain;
        case 530:
        case 535:
        case 538:
            return bad_configuration;
        case 550:
        case 551:
        case 553:
            if (opening) return spam_block;
            return stage == Stage::rcpt ? invalid_recipient : policy_related;
        case 552:
            return stage == Stage::rcpt ? quota_issues : content_related;
        case 554:
            return opening ? spam_block : policy_related;
        default:
            break;
    }
    if (code >= 400 && code < 500) return transient_failure;
    if ((code >= 500 && code <= 504) || code == 555) return protocol_errors;
    return other;
}

}  // namespace engine

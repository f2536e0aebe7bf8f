#include "engine/smtp/outcome.h"

namespace engine {

std::string_view to_string(Stage stage) {
    switch (stage) {
        case Stage::none:
            return "";
        case Stage::dns:
            return "dns";
        case Stage::connect:
            return "connect";
        case Stage::banner:
            return "banner";
        case Stage::ehlo:
            return "ehlo";
        case Stage::tls:
            return "tls";
        case Stage::mail:
            return "mail";
        case Stage::rcpt:
            return "rcpt";
        case Stage::data:
            return "data";
        case Stage::body:
            return "body";
    }
    return "";
}

Failure failure_of(Errc code) {
    switch (code) {
        case Errc::timeout:
            return Failure::timeout;
        case Errc::closed:
            return Failure::closed;
        case Errc::protocol:
            return Failure::garbage;
        default:
            return Failure::cut;
    }
}

std::string_view to_string(Verdict::Kind kind) {
    switch (kind) {
        case Verdict::Kind::delivered:
            return "delivered";
        case Verdict::Kind::deferred:
            return "deferred";
        case Verdict::Kind::bounced:
            return "bounced";
        case Verdict::Kind::untried:
            return "untried";
    }
    return "";
}

std::string_view to_string(Failure failure) {
    switch (failure) {
        case Failure::none:
            return "";
        case Failure::no_domain:
            return "no_domain";
        case Failure::null_mx:
            return "null_mx";
        case Failure::dns_failed:
            return "dns_failed";
        case Failure::no_address:
            return "no_address";
        case Failure::address_refused:
            return "address_refused";
        case Failure::own_host:
            return "own_host";
        case Failure::bad_name:
            return "bad_name";
        case Failure::refused:
            return "refused";
        case Failure::no_answer:
            return "no_answer";
        case Failure::unreachable:
            return "unreachable";
        case Failure::timeout:
            return "timeout";
        case Failure::closed:
            return "closed";
        case Failure::cut:
            return "cut";
        case Failure::garbage:
            return "garbage";
        case Failure::out_of_step:
            return "out_of_step";
        case Failure::dialogue:
            return "dialogue";
        case Failure::end_of_connection:
            return "end_of_connection";
        case Failure::transaction_full:
            return "transaction_full";
        case Failure::cannot_carry:
            return "cannot_carry";
        case Failure::no_tls:
            return "no_tls";
        case Failure::tls_failed:
            return "tls_failed";
        case Failure::tls_untrusted:
            return "tls_untrusted";
        case Failure::policy_unknown:
            return "policy_unknown";
        case Failure::no_credentials:
            return "no_credentials";
        case Failure::content_lost:
            return "content_lost";
    }
    return "";
}

}  // namespace engine

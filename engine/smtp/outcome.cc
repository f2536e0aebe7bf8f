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

}  // namespace engine

#include "engine/net/tls.h"

#include <algorithm>

namespace engine {

std::string_view to_string(TlsLevel level) {
    switch (level) {
        case TlsLevel::plain:
            return "plain";
        case TlsLevel::encrypted:
            return "encrypted";
        case TlsLevel::verified:
            return "verified";
        case TlsLevel::dane:
            return "dane";
    }
    return "";
}

bool covers_host(std::string_view pattern, std::string_view host) {
    if (!pattern.starts_with("*.")) return pattern == host;
    const size_t dot = host.find('.');
    return dot != std::string_view::npos && dot > 0 && host.substr(dot) == pattern.substr(1);
}

bool may_go_to(const TlsDemand& demand, std::string_view host) {
    return demand.hosts.empty() ||
           std::ranges::any_of(demand.hosts, [&](const std::string& pattern) {
               return covers_host(pattern, host);
           });
}

std::string_view to_string(TlsFailure failure) {
    switch (failure) {
        case TlsFailure::none:
            return "";
        case TlsFailure::not_offered:
            return "starttls-not-supported";
        case TlsFailure::expired:
            return "certificate-expired";
        case TlsFailure::wrong_name:
            return "certificate-host-mismatch";
        case TlsFailure::not_trusted:
            return "certificate-not-trusted";
        case TlsFailure::tlsa_mismatch:
        case TlsFailure::validation:
        case TlsFailure::handshake:
            return "validation-failure";
    }
    return "";
}

std::string to_string(const TlsResult& result) {
    if (result.level == TlsLevel::plain) return {};
    std::string text = result.version;
    text.append(" ").append(result.cipher).append(" ").append(to_string(result.level));
    if (result.resumed) text += " resumed";
    return text;
}

}  // namespace engine

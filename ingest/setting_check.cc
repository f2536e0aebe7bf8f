#include "ingest/setting_check.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <fstream>

#include "engine/bounce/bounce_class.h"
#include "engine/delivery/automation.h"
#include "engine/reactor/address.h"
#include "engine/smtp/credentials.h"
#include "ingest/event_json.h"
#include "ingest/units.h"

namespace ingest {

namespace {
constexpr size_t secret_max = 8192;                    // bearer tokens are long
constexpr size_t host_name_max = 253, label_max = 63;  // RFC 1035
constexpr size_t unix_path_max = sizeof(sockaddr_un{}.sun_path) - 1;

bool is_label(std::string_view label) {
    const auto allowed = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) || c == '-';
    };
    return !label.empty() && label.size() <= label_max && label.front() != '-' &&
           label.back() != '-' && std::ranges::all_of(label, allowed);
}

bool is_ip(const std::string& text) {
    in6_addr scratch;
    return inet_pton(AF_INET, text.c_str(), &scratch) == 1 ||
           inet_pton(AF_INET6, text.c_str(), &scratch) == 1;
}

std::optional<uint32_t> whole_number(std::string_view text, uint32_t most) {
    uint32_t n = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (failed != std::errc{} || end != text.data() + text.size() || n > most) return std::nullopt;
    return n;
}

std::optional<std::string> check_unix_path(std::string_view path) {
    if (!path.starts_with('/'))
        return "the path of a Unix socket begins with /; write unix:/run/sluice/ingest.sock";
    if (path.size() > unix_path_max) {
        return fmt::format(
            "the path of a Unix socket may have {} bytes, this has {}; choose a shorter one",
            unix_path_max, path.size());
    }
    return std::nullopt;
}
}  // namespace

bool is_host_name(std::string_view text) {
    if (text.size() > host_name_max || !text.contains('.') || text.ends_with('.')) return false;
    std::string_view last;
    for (size_t at = 0; at <= text.size();) {
        const size_t dot = std::min(text.find('.', at), text.size());
        last = text.substr(at, dot - at);
        if (!is_label(last)) return false;
        at = dot + 1;
    }
    // An all-digit last label would be an address, or be taken for one.
    return !std::ranges::all_of(last, [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::string> check_host_name(const std::string& text) {
    if (is_host_name(text)) return std::nullopt;
    const bool ascii =
        std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (!ascii) return "write the name in its ASCII form (xn--...)";
    return "is no full host name; write one such as out1.example.com";
}

std::optional<std::string> check_smtp_listener(const std::string& text) {
    if (text.starts_with("unix:")) return check_unix_path(std::string_view(text).substr(5));
    const std::string address = text.starts_with("tls:") ? text.substr(4) : text;
    if (!address.starts_with("unix:") && engine::SocketAddress::parse(address)) return std::nullopt;
    return "is no address to listen on; write ip:port, tls:ip:port or unix:/path";
}

std::optional<std::string> check_http_listener(const std::string& text) {
    if (auto wrong = check_smtp_listener(text)) return wrong;
    if (text.starts_with("unix:") || text.starts_with("tls:")) return std::nullopt;
    if (engine::SocketAddress::parse(text)->is_loopback()) return std::nullopt;
    return "is not loopback, and keys and mail would travel in the clear; write tls:" + text +
           ", or listen on 127.0.0.1 or a Unix socket";
}

std::optional<std::string> check_listener(const std::string& text) {
    if (text.empty()) return std::nullopt;
    if (!text.starts_with("unix:") && engine::SocketAddress::parse(text)) return std::nullopt;
    return "is no address to listen on; write ip:port, or \"\" for none";
}

std::optional<std::string> check_dns_server(const std::string& text) {
    if (is_ip(text) || (!text.starts_with("unix:") && engine::SocketAddress::parse(text)))
        return std::nullopt;
    return "is no address of a DNS server; write ip or ip:port, [ip]:port for IPv6";
}

std::optional<std::string> check_network(const std::string& text) {
    const size_t slash = text.find('/');
    const std::string ip = text.substr(0, slash);
    in6_addr scratch;
    const uint32_t bits_max = inet_pton(AF_INET, ip.c_str(), &scratch) == 1 ? 32 : 128;
    const bool good_bits =
        slash == std::string::npos ||
        whole_number(std::string_view(text).substr(slash + 1), bits_max).has_value();
    if (is_ip(ip) && good_bits) return std::nullopt;
    return "is no address and no network; write ip or ip/bits, such as 10.0.0.0/8 or fd00::/8";
}

std::optional<std::string> check_trusted_network(const std::string& text) {
    if (auto wrong = check_network(text)) return wrong;
    if (!text.ends_with("/0")) return std::nullopt;
    return "is everybody: this would be an open relay; name the networks of your own hosts";
}

std::optional<std::string> check_route_host(const std::string& whole) {
    constexpr std::string_view smtps = "smtps://";
    const std::string text = whole.starts_with(smtps) ? whole.substr(smtps.size()) : whole;
    const size_t colon = text.rfind(':');
    const std::string host = text.substr(0, colon);
    const auto port = colon == std::string::npos
                          ? std::nullopt
                          : whole_number(std::string_view(text).substr(colon + 1), 65535);
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    const bool good_host = bracketed ? is_ip(host.substr(1, host.size() - 2)) : is_host_name(host);
    if (good_host && port && *port != 0) return std::nullopt;
    if (is_ip(host)) return "an address stands in brackets here; write [192.0.2.1]:25";
    return "is no host to route to; write host:port or [ip]:port, with smtps:// in front where TLS "
           "begins with the connection";
}

std::optional<std::string> check_domain_entry(const std::string& text) {
    return text == "*" ? std::nullopt : check_host_name(text);
}

std::optional<std::string> check_tls_policy(const std::string& text) {
    if (text == "none" || text == "opportunistic" || text == "required" || text == "verified")
        return std::nullopt;
    return "is no such rule; write none, opportunistic, required or verified";
}

std::optional<std::string> check_tls_version(const std::string& text) {
    if (text == "1.2" || text == "1.3") return std::nullopt;
    return "is no version of TLS that is spoken here; write 1.2 or 1.3";
}

std::optional<std::string> check_auth_user(const std::string& text) {
    constexpr size_t user_max = 320;
    const bool clean = std::ranges::all_of(
        text, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
    if (!text.empty() && text.size() <= user_max && clean) return std::nullopt;
    return "is no name to log in with: 1 to 320 characters, none of them a space";
}

std::optional<std::string> check_auth_mechanism(const std::string& text) {
    for (const auto mechanism : engine::auth_mechanisms) {
        if (text == to_string(mechanism)) return std::nullopt;
    }
    return "is no mechanism that is known here; write PLAIN, LOGIN, CRAM-MD5 or XOAUTH2";
}

std::optional<std::string> check_secret_file(const std::string& path) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0)
        return fmt::format("cannot be read: {}", std::strerror(errno));
    if (!S_ISREG(status.st_mode)) return "is no file";
    if (status.st_mode & S_IROTH)
        return fmt::format("may be read by everybody; mend it: chmod o-r {}", path);
    if (!std::ifstream(path)) return fmt::format("cannot be read: {}", std::strerror(errno));
    if (secret_in(path).empty())
        return fmt::format("holds no password: its first line must have 1 to {} octets",
                           secret_max);
    return std::nullopt;
}

std::string secret_in(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string line;
    std::getline(in, line);
    if (line.ends_with('\r')) line.pop_back();
    return line.size() > secret_max ? std::string() : line;
}

std::optional<std::string> check_mx_suffix(const std::string& text) {
    if (text.starts_with('.') && is_host_name("x" + text)) return std::nullopt;
    if (is_host_name(text))
        return "a suffix begins with a dot, or it would match other people's names, too; write ." +
               text;
    return "is no end of a host name; write one such as .google.com";
}

std::optional<std::string> check_label(const std::string& text) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    };
    constexpr size_t name_max = 40;
    if (!text.empty() && text.size() <= name_max && std::ranges::all_of(text, allowed) &&
        text != "other") {
        return std::nullopt;
    }
    return "names a group in metrics and logs: 1 to 40 of a-z, 0-9, '-', '_', '.', and not "
           "\"other\"";
}

std::optional<std::string> check_in_doubt(const std::string& text) {
    if (text == "retry" || text == "hold" || text == "assume_delivered") return std::nullopt;
    return "is no way out of a doubt; write retry, hold or assume_delivered";
}

std::optional<std::string> check_source_address(const std::string& text) {
    const auto address = engine::SocketAddress::from_ip(text, 0);
    if (!address)
        return "is no address; write one of this host's, such as 192.0.2.10 or 2001:db8::1";
    // Binding is what tells whether the address is here; it may come up later than we do.
    return std::nullopt;
}

std::optional<std::string> check_proxy_user(const std::string& text) {
    constexpr size_t octets_max = 255;  // RFC 1929 2
    if (text.empty() || text.size() > octets_max) return "has to have 1 to 255 octets";
    return std::nullopt;
}

std::optional<std::string> check_proxy(const std::string& text) {
    constexpr std::string_view mend =
        "; write socks5://ip:port or haproxy://ip:port, such as \"socks5://10.0.0.5:1080\"";
    std::string_view address = text;
    if (address.starts_with("socks5://"))
        address.remove_prefix(9);
    else if (address.starts_with("haproxy://"))
        address.remove_prefix(10);
    else
        return "is no proxy" + std::string(mend);
    const auto parsed = engine::SocketAddress::parse(address);
    if (!parsed || parsed->port() == 0) return "has no address and port" + std::string(mend);
    return std::nullopt;
}

std::optional<std::chrono::sys_days> parse_date(std::string_view text) {
    const auto time = parse_time(std::string(text) + "T00:00:00Z");
    if (text.size() != 10 || !time) return std::nullopt;
    return std::chrono::floor<std::chrono::days>(*time);
}

std::optional<std::string> check_date(const std::string& text) {
    if (parse_date(text)) return std::nullopt;
    return "is no date; write one such as 2026-11-22";
}

std::vector<uint32_t> parse_numbers(std::string_view text) {
    std::vector<uint32_t> numbers;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at < end) {
        uint32_t number = 0;
        const auto [next, error] = std::from_chars(at, end, number);
        if (error != std::errc{}) return {};
        numbers.push_back(number);
        at = next;
        if (at < end && *at++ != ' ') return {};
    }
    return numbers;
}

std::optional<std::string> check_warmup(const std::string& text) {
    constexpr size_t days_max = 365;
    const size_t days = parse_numbers(text).size();
    if (days > 0 && days <= days_max) return std::nullopt;
    return "is no plan; write messages for each day with a blank between, such as 50 100 500 1000";
}

std::optional<std::string> check_bounce_class(const std::string& text) {
    if (engine::parse_bounce_class(text)) return std::nullopt;
    return "is no bounce class; `sluice classify \"550 5.7.1 blocked\"` tells that of a reply";
}

std::optional<std::string> check_match(const std::string& text) {
    std::string why;
    if (engine::make_match(text, &why)) return std::nullopt;
    return "is no expression: " + why;
}

std::optional<std::string> check_action(const std::string& text) {
    if (engine::parse_automation_action(text)) return std::nullopt;
    return "is no action; write rest_source, suspend or slow";
}

std::optional<std::string> check_depth(const std::string& text) {
    constexpr std::string_view known[] = {"auto", "lock_step", "envelope", "next", "messages"};
    if (std::ranges::find(known, text) != std::end(known)) return std::nullopt;
    return "is no depth; write auto, lock_step, envelope, next or messages";
}

std::optional<std::string> check_selector(const std::string& text) {
    if (!text.ends_with('.') && is_host_name(text + ".x")) return std::nullopt;
    return "is no selector; write labels of a-z, 0-9 and '-', such as s1 or 2026.mail";
}

std::optional<std::string> check_signs(const std::string& text) {
    if (text == "domain" || text == "subdomains" || text == "all") return std::nullopt;
    return "is none of \"domain\", \"subdomains\", \"all\"";
}

std::optional<std::string> check_tenant(const std::string& text) {
    constexpr size_t tenant_max = 64;
    const auto allowed = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) ||
               std::string_view("._-:/+@=").contains(c);
    };
    if (!text.empty() && text.size() <= tenant_max && std::ranges::all_of(text, allowed))
        return std::nullopt;
    return "is no name of a tenant: 1 to 64 of A-Z, a-z, 0-9 and . _ - : / + @ =";
}

std::optional<std::string> check_webhook_url(const std::string& text) {
    const bool https = text.starts_with("https://");
    const std::string_view rest =
        https || text.starts_with("http://") ? std::string_view(text).substr(https ? 8 : 7) : "";
    const auto printable = [](char c) { return c > ' ' && c != 0x7f; };
    const bool has_host = !rest.empty() && rest.front() != '/' && rest.front() != ':';
    if (has_host && std::ranges::all_of(rest, printable)) return std::nullopt;
    return "is no address; write one such as https://hooks.example.com/sluice";
}

std::optional<std::string> check_event_type(const std::string& text) {
    if (parse_event_type(text)) return std::nullopt;
    return "is no type of event; they are accepted, delivered, deferred, bounced, expired, "
           "cancelled, suppressed, complaint, async_bounce";
}

std::optional<std::string> check_user_name(const std::string& text) {
    constexpr size_t name_max = 255;
    const auto printable = [](char c) { return c > ' ' && c != 0x7f; };
    if (!text.empty() && text.size() <= name_max && std::ranges::all_of(text, printable))
        return std::nullopt;
    return "is no user name; write 1 to 255 printable ASCII characters without blanks";
}

std::optional<std::string> check_sha256(const std::string& text) {
    const auto is_digit = [](unsigned char c) { return std::isxdigit(c) != 0; };
    if (text.size() == 64 && std::ranges::all_of(text, is_digit)) return std::nullopt;
    return "is no SHA-256; write its 64 hex digits, as `sluice password --api-key` prints them";
}

std::string octets_of_hex(std::string_view digits) {
    std::string octets;
    for (size_t i = 0; i + 1 < digits.size(); i += 2) {
        unsigned char octet = 0;
        std::from_chars(digits.data() + i, digits.data() + i + 2, octet, 16);
        octets += static_cast<char>(octet);
    }
    return octets;
}

std::optional<std::string> check_path(const std::string& text) {
    if (!text.empty() && !text.contains('\0')) return std::nullopt;
    return "is no path; write one such as /var/lib/sluice";
}

}  // namespace ingest

// Rules for texts in the configuration: names, addresses, networks. Each returns what is wrong and
// what would be right.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingest {

bool is_host_name(std::string_view text);  // letters, digits and hyphens in at least two labels,
                                           // none of them empty

std::optional<std::string> check_host_name(const std::string& text);
// ip:port, unix:/path or tls:ip:port. Whether strangers may come is looked at when all settings are
// known (config_check.h).
std::optional<std::string> check_smtp_listener(const std::string& text);
// The same, but plain ip:port is loopback.
std::optional<std::string> check_http_listener(const std::string& text);
std::optional<std::string> check_listener(const std::string& text);    // ip:port, or empty for none
std::optional<std::string> check_dns_server(const std::string& text);  // ip or ip:port
std::optional<std::string> check_network(const std::string& text);     // ip or ip/bits
std::optional<std::string> check_trusted_network(const std::string& text);  // and not everything
std::optional<std::string> check_route_host(const std::string& text);  // host:port or [ip]:port
std::optional<std::string> check_mx_suffix(const std::string& text);
std::optional<std::string> check_label(const std::string& text);  // of a metric: a provider's name
std::optional<std::string> check_domain_entry(const std::string& text);  // a host name, or "*"
std::optional<std::string> check_tls_policy(const std::string& text);
std::optional<std::string> check_tls_version(const std::string& text);
std::optional<std::string> check_auth_user(const std::string& text);
std::optional<std::string> check_auth_mechanism(const std::string& text);
std::optional<std::string> check_secret_file(const std::string& path);
std::string secret_in(
    const std::string& path);  // its first line; empty: check_secret_file says why
std::optional<std::string> check_in_doubt(const std::string& text);
std::optional<std::string> check_source_address(const std::string& text);  // ip of this host
std::optional<std::string> check_proxy(const std::string& text);  // socks5://ip:port
std::optional<std::string> check_proxy_user(const std::string& text);
std::optional<std::string> check_date(const std::string& text);            // 2026-11-22
std::optional<std::chrono::sys_days> parse_date(std::string_view text);
std::optional<std::string> check_warmup(const std::string& text);  // "50 100 500"
std::vector<uint32_t> parse_numbers(std::string_view text);        // empty: they are none
std::optional<std::string> check_bounce_class(const std::string& text);
std::optional<std::string> check_match(const std::string& text);
std::optional<std::string> check_action(const std::string& text);
std::optional<std::string> check_depth(const std::string& text);     // of the SMTP dialogue
std::optional<std::string> check_selector(const std::string& text);  // of DKIM
std::optional<std::string> check_signs(const std::string& text);     // which mail a key signs
std::optional<std::string> check_tenant(const std::string& text);
std::optional<std::string> check_webhook_url(const std::string& text);
std::optional<std::string> check_event_type(const std::string& text);
std::optional<std::string> check_path(const std::string& text);
std::optional<std::string> check_user_name(const std::string& text);
std::optional<std::string> check_sha256(const std::string& text);  // 64 digits
std::string octets_of_hex(std::string_view digits);                // an even number of them

}  // namespace ingest

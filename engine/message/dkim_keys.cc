#include "engine/message/dkim_keys.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "engine/message/address.h"
#include "engine/message/entity.h"
#include "engine/message/field.h"
#include "engine/message/headers.h"

namespace engine {
namespace {

bool is_below(std::string_view domain, std::string_view parent) {
    return domain.size() > parent.size() && domain.ends_with(parent) &&
           domain[domain.size() - parent.size() - 1] == '.';
}

std::string unwise(const DkimEntry& entry, const DkimKey& key) {
    std::string text;
    const auto add = [&](std::string sentence) {
        if (!text.empty()) text += "; ";
        text += sentence;
    };
    struct stat info{};
    if (stat(entry.key.c_str(), &info) == 0 && (info.st_mode & (S_IROTH | S_IWOTH)) != 0)
        add(
            fmt::format("every user of this host can {} {}: chmod 640, owned by root and the group "
                        "that serves",
                        (info.st_mode & S_IWOTH) != 0 ? "change" : "read", entry.key));
    if (key.kind() == DkimKey::Kind::rsa && key.bits() < DkimKey::rsa_bits_advised)
        add(
            fmt::format("RSA of {} bits is weak and some receivers ignore it: make a new key of {} "
                        "under a new selector",
                        key.bits(), DkimKey::rsa_bits_advised));
    return text;
}

}  // namespace

DkimKeys::Loaded DkimKeys::load(const std::vector<DkimEntry>& entries) {
    Loaded loaded;
    auto keys = std::make_shared<DkimKeys>();
    std::map<std::string, std::shared_ptr<const DkimKey>> files;  // one key may serve many domains
    bool good = true;
    for (const DkimEntry& entry : entries) {
        Report& report = loaded.reports.emplace_back();
        report.entry = fmt::format("{}._domainkey.{}", entry.selector, entry.domain);
        report.summary = entry.key;
        std::shared_ptr<const DkimKey>& key = files[entry.key];
        if (!key) {
            auto read = DkimKey::from_file(entry.key);
            if (!read) {
                report.problem = fmt::format("{} {}", entry.key, read.error());
                good = false;
                continue;
            }
            key = std::make_shared<const DkimKey>(std::move(*read));
        }
        report.summary = key->kind() == DkimKey::Kind::rsa
                             ? fmt::format("RSA of {} bits, {}", key->bits(), entry.key)
                             : fmt::format("Ed25519, {}", entry.key);
        report.record = key->dns_record();
        report.warning = unwise(entry, *key);
        keys->rules_.push_back({{entry.domain, entry.selector, key}, entry.tenant, entry.signs});
    }
    if (good) loaded.keys = std::move(keys);
    return loaded;
}

std::vector<DkimIdentity> DkimKeys::find(std::string_view domain, std::string_view tenant) const {
    using enum DkimEntry::Signs;
    std::string_view nearest;  // whose entries sign for `domain`
    const auto may = [&](const Rule& rule) { return rule.tenant.empty() || rule.tenant == tenant; };
    for (const Rule& rule : rules_) {
        if (rule.signs == all || !may(rule)) continue;
        const std::string_view owner = rule.identity.domain;
        const bool fits = owner == domain || (rule.signs == subdomains && is_below(domain, owner));
        if (fits && owner.size() > nearest.size()) nearest = owner;
    }
    std::vector<DkimIdentity> found;
    for (const Rule& rule : rules_) {
        // Of the owner's entries those that sign for its own domain alone are no good below it.
        const bool owned =
            rule.identity.domain == nearest && (rule.signs == subdomains || nearest == domain);
        const bool signs = may(rule) && (rule.signs == all || owned);
        if (signs && found.size() < signatures_max) found.push_back(rule.identity);
    }
    return found;
}

std::string from_domain(std::string_view header) {
    for (const HeaderField& field : split_entity(header).fields) {
        if (!same_name(field.name, "From")) continue;
        std::string value;
        append_field_raw(value, unfold(field.value));
        const MailboxList list = parse_mailboxes(value);
        if (list.mailboxes.empty()) return {};
        const auto address = parse_address(list.mailboxes.front().address);
        return address ? address->routing_domain : std::string();
    }
    return {};
}

}  // namespace engine

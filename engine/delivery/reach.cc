#include "engine/delivery/reach.h"

#include <algorithm>

#include "storage/ids.h"

namespace engine {

namespace {

// What a place is filed under: a letter for what it names, and its name.
constexpr char by_domain = 'd', by_campaign = 'c', by_tenant = 't', by_nothing = '*';

std::string filed_under(const Reach& reach) {
    if (reach.domain) return by_domain + *reach.domain;
    if (reach.campaign) return by_campaign + *reach.campaign;
    if (reach.tenant) return by_tenant + *reach.tenant;
    return {by_nothing};
}

template <class T>
bool holds(const std::optional<T>& wanted, const T& is) {
    return !wanted || *wanted == is;
}

}  // namespace

bool Reach::of_queue(const storage::QueueInfo& queue) const {
    return holds(tenant, queue.tenant) && holds(campaign, queue.campaign) &&
           holds(domain, queue.domain) && holds(klass, queue.klass);
}

bool Reach::of_delivery(const storage::Delivery& delivery) const {
    return holds(job, delivery.id.job) &&
           (!recipient || mailbox_key(delivery.recipient) == *recipient);
}

bool Reach::of_way(std::string_view its_provider, std::string_view its_site) const {
    return (!provider || *provider == its_provider) && (!site || *site == its_site) && !source;
}

std::string_view Reach::kind() const {
    std::string_view named;
    size_t count = 0;
    const auto name = [&](bool set, std::string_view what) {
        if (!set) return;
        named = what;
        ++count;
    };
    name(tenant.has_value(), "tenant");
    name(campaign.has_value(), "campaign");
    name(domain.has_value(), "domain");
    name(klass.has_value(), "class");
    name(recipient.has_value(), "recipient");
    name(job.has_value(), "job");
    name(provider.has_value(), "provider");
    name(site.has_value(), "site");
    name(source.has_value(), "source");
    return count == 1 ? named : count == 0 ? "everything" : "several";
}

std::string Reach::words() const {
    std::string text;
    const auto add = [&](std::string_view what, std::string_view value) {
        if (!text.empty()) text += ", ";
        text.append(what).append(" ").append(value.empty() ? "(none)" : value);
    };
    if (job) add("job", storage::to_text(*job));
    if (recipient) add("recipient", *recipient);
    if (domain) add("domain", *domain);
    if (campaign) add("campaign", *campaign);
    if (klass) add("class", *klass == storage::Class::bulk ? "bulk" : "transactional");
    if (tenant) add("tenant", *tenant);
    if (provider) add("provider", *provider);
    if (site) add("site", *site);
    if (source) add("source", *source);
    return text;
}

std::string mailbox_key(std::string_view address) {
    std::string key(address);
    for (char& c : key)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 32);
    return key;
}

void write_reach(storage::Writer& out, const Reach& reach) {
    for (const auto* text : {&reach.tenant, &reach.campaign, &reach.domain, &reach.recipient,
                             &reach.provider, &reach.site, &reach.source}) {
        out.byte(text->has_value() ? 1 : 0);
        if (*text) out.string(**text);
    }
    out.byte(reach.klass ? 1 : 0);
    if (reach.klass) out.byte(static_cast<uint8_t>(*reach.klass));
    out.byte(reach.job ? 1 : 0);
    if (reach.job) out.fixed64(static_cast<uint64_t>(*reach.job));
}

Reach read_reach(storage::Reader& in) {
    constexpr uint8_t classes = 2;
    Reach reach;
    for (auto* text : {&reach.tenant, &reach.campaign, &reach.domain, &reach.recipient,
                       &reach.provider, &reach.site, &reach.source})
        if (in.flag()) *text = std::string(in.string());
    if (in.flag()) reach.klass = storage::Class{in.below(classes)};
    if (in.flag()) reach.job = storage::JobId{in.fixed64()};
    return reach;
}

void ReachIndex::add(const Reach& reach, size_t place) {
    places_[filed_under(reach)].push_back(place);
}

bool ReachIndex::any(const storage::QueueInfo& queue, const Judge& judge) const {
    if (places_.empty()) return false;
    const auto among = [&](std::string key) {
        const auto found = places_.find(key);
        return found != places_.end() && std::ranges::any_of(found->second, judge);
    };
    return among(by_domain + queue.domain) || among(by_campaign + queue.campaign) ||
           among(by_tenant + queue.tenant) || among({by_nothing});
}

}  // namespace engine

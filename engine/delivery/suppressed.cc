#include "engine/delivery/suppressed.h"

#include "engine/delivery/reach.h"

namespace engine {

std::string suppressed_form(std::string_view address, std::string_view routing_domain) {
    std::string form = mailbox_key(address.substr(0, address.rfind('@')));
    return form.append("@").append(routing_domain);
}

storage::Result<std::vector<Listed>> look_up(storage::Store& store, std::string_view tenant,
                                             const std::vector<std::string>& addresses) {
    std::vector<Listed> listed;
    listed.reserve(addresses.size());
    const auto take = [&](const storage::Result<std::vector<bool>>& found) {
        for (const bool one : *found) listed.push_back(one ? Listed::yes : Listed::no);
    };
    const auto all = store.suppressed(tenant, addresses);
    if (all) {
        take(all);
        return listed;
    }
    if (all.error().code != storage::Errc::corruption) return std::unexpected(all.error());
    // One by one: a damaged block is about few of them.
    for (const std::string& address : addresses) {
        const auto one = store.suppressed(tenant, {&address, 1});
        if (one)
            take(one);
        else if (one.error().code == storage::Errc::corruption)
            listed.push_back(Listed::unreadable);
        else
            return std::unexpected(one.error());
    }
    return listed;
}

}  // namespace engine

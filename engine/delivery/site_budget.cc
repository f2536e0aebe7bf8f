#include "engine/delivery/site_budget.h"

#include "engine/delivery/site.h"

namespace engine {

void SiteBudget::ask(const Site& site, size_t connections) {
    for (Site* other : sites_) {
        if (other == &site) continue;
        for (uint64_t idle = other->status().idle; idle > 0 && connections > 0; --idle) {
            other->look_again();
            --connections;
        }
    }
}

bool SiteBudget::gives_way(const Site& site, Between between) {
    size_t wanted = 0;
    for (const Site* other : sites_) {
        if (other == &site) continue;
        if (between == Between::nothing || other->connections() == 0)
            wanted += other->connections_wanted();
    }
    if (wanted <= promised_) return false;
    ++promised_;
    return true;
}

void SiteBudget::freed(const Site& by) {
    // One that ended for another reason counts as well: the next who asks is only heard sooner.
    if (promised_ > 0) --promised_;
    for (Site* site : sites_) {
        if (site != &by) site->fill();
    }
}

}  // namespace engine

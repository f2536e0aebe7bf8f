// What goes wrong in a run, and what operators do in it.
#include "metrics/check.h"
#include "tests/sim/running.h"

namespace sim {

void Run::make(const Trouble& trouble) {
    if (!node_ || node_->draining() || healed_) return;
    world_.count(trouble.kind);
    world_.trace("trouble: {}", name_of(trouble.kind));
    const Nanoseconds length = world_.some_time(1s, 40s);
    switch (trouble.kind) {
        case Fault::drain:
            return drain();
        case Fault::kill:
            restart_ = Restart::kill;
            return;
        case Fault::kill_at_work:
            kill_after_work_ = true;
            return;
        case Fault::power_cut:
            restart_ = Restart::power;
            return;
        case Fault::power_at_sync:
            return disk_.cut_power_in_log(trouble.choice);
        case Fault::disk_error:
            disk_.fail_log(trouble.choice);
            return;
        case Fault::disk_full:
            disk_.fill();
            world_.after(length, [this] { disk_.heal(); });
            return;
        case Fault::host_down: {
            Host* host = plan_.hosts[trouble.choice % plan_.hosts.size()].get();
            host->down(true);
            world_.after(length, [host] { host->down(false); });
            return;
        }
        case Fault::dns_down:
            plan_.zone.failing = 1;
            world_.after(length, [this] { plan_.zone.failing = 0; });
            return;
        case Fault::clock_forwards:
        case Fault::clock_backwards: {
            const auto by =
                std::chrono::floor<std::chrono::milliseconds>(world_.some_time(1s, 24h));
            return world_.jump(trouble.kind == Fault::clock_forwards ? by : -by);
        }
        case Fault::suspension:
        case Fault::detour:
        case Fault::cancellation:
            return order(trouble, length);
        case Fault::listed:
        case Fault::unlisted:
            return change_list(trouble.kind);
        case Fault::new_route: {
            std::vector<std::string> names;
            for (const Host* host : plan_.sites[trouble.choice % plan_.sites.size()])
                names.push_back(host->name());
            plan_.zone.mx(plan_.domains.front(), std::move(names), plan_.ttl);
            return;
        }
        default:
            CHECK(false, "a trouble that nobody can make");
    }
}

/// What an order is about: mail of a job of the plan, or some of it.
engine::Reach Run::draw_reach(Fault kind) {
    const JobPlan& job = plan_.jobs[world_.draw(plan_.jobs.size())];
    const JobBook& record = book_.job(job.number);
    engine::Reach reach;
    const auto& providers = plan_.settings->providers;
    const bool of_deliveries = kind == Fault::cancellation;
    const auto& sources = plan_.settings->sources;  // of all reloads the newest
    // A source may rest; no mail of it can be led away.
    if (kind == Fault::suspension && sources.size() > 1 && world_.chance(0.4)) {
        reach.source = sources[world_.draw(sources.size())].name;
        return reach;
    }
    switch (world_.draw(6)) {
        case 0:
            reach.tenant = record.tenant;
            break;
        case 1:
            reach.tenant = record.tenant;
            reach.campaign = record.campaign;
            break;
        case 2:
            reach.klass = record.klass;
            break;
        case 3:
            reach.domain = job.domains.front();
            break;
        case 4:
            if (of_deliveries)
                reach.recipient = engine::mailbox_key(record.items.front().address);
            else if (!providers.empty())
                reach.provider = providers[world_.draw(providers.size())].name;
            else
                reach.domain = job.domains.back();
            break;
        default:
            if (!of_deliveries)
                reach.site = plan_.site_names[world_.draw(plan_.site_names.size())];
            else if (record.id != storage::JobId{})
                reach.job = record.id;
            else
                reach.domain = job.domains.back();
    }
    return reach;
}

void Run::order(const Trouble& trouble, Nanoseconds length) {
    Order order{.kind = trouble.kind == Fault::suspension ? Order::Kind::suspend
                        : trouble.kind == Fault::detour   ? Order::Kind::lead_away
                                                          : Order::Kind::cancel,
                .reach = draw_reach(trouble.kind)};
    if (order.kind != Order::Kind::cancel) {
        // Nobody outside knows when one ends by a clock that was set meanwhile.
        if (!plan_.clock_is_set() && world_.chance(0.3))
            order.until =
                world_.engine_wall() + std::chrono::ceil<std::chrono::milliseconds>(length);
        else
            world_.after(length, [this] { lift_suspensions(); });
    }
    node_->give(world_.draw(64), std::move(order));
}

/// When all is well until everything has ended: the call may fail, or the node die over it.
void Run::lift_suspensions() {
    if (node_ && !node_->draining()) node_->lift_suspensions();
    if (healed_ && !book_.all_ended()) world_.after(5s, [this] { lift_suspensions(); });
}

/// Recipients of one job, or some of them.
void Run::change_list(Fault kind) {
    const JobBook& job = book_.job(plan_.jobs[world_.draw(plan_.jobs.size())].number);
    ListChange change{
        .kind = kind == Fault::listed ? ListChange::Kind::add : ListChange::Kind::remove,
        .list = world_.chance(0.3) ? std::string(storage::every_tenant) : job.tenant,
        .addresses = {}};
    const double part = world_.chance(0.5) ? 1 : 0.3;
    for (const Item& item : job.items)
        if (change.addresses.empty() || world_.chance(part))
            change.addresses.push_back(Book::listed_form(item));
    node_->change_list(world_.draw(64), std::move(change));
}

/// Where no node runs, the next one starts with them.
void Run::reload(const Plan::Reload& reload) {
    if (node_ && node_->draining()) return;
    if (!node_) {
        plan_.settings = reload.settings;
        return;
    }
    if (!node_->reload(reload.settings)) return;
    world_.count(Fault::reload);
}

/// An operator sees now and then whether the store takes no writes any more, and starts it again.
void Run::watch_store() {
    if (healed_) return;
    if (node_ && !node_->draining() && storage_broke_) drain();
    world_.after(world_.some_time(1s, 40s), [this] { watch_store(); });
}

}  // namespace sim

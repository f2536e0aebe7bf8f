#include "tests/sim/node.h"

#include <algorithm>

#include "engine/reactor/call.h"
#include "engine/reactor/sleep.h"
#include "metrics/check.h"
#include "tests/sim/busy.h"
#include "tests/sim/dns.h"
#include "tests/sim/tls.h"

namespace sim {

using engine::Task;

struct Node::Shard final : engine::Source {
    Shard(Node& of, engine::ShardId number)
        : node(of),
          id(number),
          reactor(of.parts_.world, of.parts_.network),
          worker(of.parts_.world, reactor, of.parts_.after_work),
          reads(of.parts_.world, reactor, of.parts_.after_work),
          signers(of.parts_.world, reactor, [] { return true; }),
          dns(of.parts_.world, reactor, of.parts_.plan.zone),
          in_doubt(of.parts_.in_doubt[number], of.parts_.store.boot()),
          delivery({.reactor = reactor,
                    .post = of.exchange_.post(number),
                    .storage_worker = worker,
                    .signers = signers,
                    .keyring = of.keyring_,
                    .store = of.parts_.store,
                    .dns = dns,
                    .gate = of.gate_,
                    .content_memory = of.content_memory_,
                    .metrics = registry,
                    .shards = of.directory_,
                    .settings = of.parts_.plan.settings,
                    .tls = tls().client,
                    .in_doubt = in_doubt,
                    .node = of.parts_.plan.node,
                    .busy = Busy(of.parts_.world, of.parts_.plan, number, registry)}) {
        of.exchange_.attach(number, reactor);
        of.directory_[number] = &delivery;
        reactor.add_source(*this);
    }

    bool drain() override {
        const auto now = std::exchange(todo, {});
        for (const auto& work : now) work();
        return !now.empty();
    }
    bool pending() const override { return !todo.empty(); }

    Task<> submit(const JobPlan* plan);
    Task<> give(Order order);
    Task<> lift();
    Task<> change_list(ListChange change);
    Task<> reload(Snapshot next);
    Task<> end(Nanoseconds patience) {
        co_await delivery.drain(reactor.now() + patience);
        co_await submissions.join();
        drained = true;
    }

    Node& node;
    const engine::ShardId id;
    metrics::Registry registry;
    Reactor reactor;
    Worker worker, reads, signers;
    Dns dns;
    storage::InDoubtJournal in_doubt;
    engine::DeliveryShard delivery;
    engine::Scope submissions, ending;
    std::vector<std::function<void()>> todo;  // on the shard, in its next turn
    bool drained = false;
};

Task<> Node::Shard::submit(const JobPlan* plan) {
    World& world = node.parts_.world;
    Book& book = node.parts_.book;
    engine::Intake& intake = delivery.intake();
    auto open = std::make_shared<engine::OpenJob>();
    const JobBook& record = book.job(plan->number);
    if (const auto refused = intake.refusal()) {
        world.trace("job {} is refused: {}", plan->number, refused->limit);
        co_return;
    }
    open->job = {.id = intake.new_job_id(),
                 .tenant = record.tenant,
                 .campaign = plan->campaign,
                 .pool = plan->pool,
                 .klass = plan->klass,
                 .sender = plan->sender,
                 .created = intake.now()};
    open->send_at = record.send_at;
    open->expires_in = record.expires_in;
    auto content = engine::Content::from_raw(
        plan->message, plan->templated ? engine::Templating::on : engine::Templating::off,
        {intake.node_name(), open->job.id, intake.now()});
    CHECK(content.has_value(), "the simulator wrote a bad message");
    open->content = std::make_shared<const engine::Content>(std::move(*content));
    book.named(plan->number, open->job.id);
    uint32_t first = 0;
    for (size_t i = 0; i < plan->parts.size(); ++i) {
        engine::JobPart part{.job = open, .last = i + 1 == plan->parts.size()};
        for (uint32_t index = first; index < first + plan->parts[i]; ++index)
            part.recipients.push_back(
                {.address = record.items[index].address, .routing_domain = plan->domains[index]});
        book.offered(plan->number, first, plan->parts[i]);
        first += plan->parts[i];
        std::vector<engine::JobPart> parts;
        parts.push_back(std::move(part));
        const auto accepted = co_await intake.accept(std::move(parts), {});
        world.trace("job {} part {}: {}", plan->number, i,
                    accepted ? "accepted" : accepted.error().limit);
        if (!accepted) {
            book.refused(plan->number);
            co_return;
        }
        book.acknowledged(plan->number);
        if (world.chance(0.3)) co_await engine::sleep_for(reactor, world.some_time(1ms, 10s));
    }
}

Task<> Node::Shard::give(Order order) {
    OrderBook& book = node.parts_.book.orders();
    const size_t number = book.call(order);
    bool good = false;
    if (order.kind == Order::Kind::cancel) {
        good = (co_await delivery.orders().cancel(order.reach, "simulated")).has_value();
    } else {
        engine::Suspension suspension{
            .reach = order.reach, .reason = "simulated", .until = order.until};
        if (order.kind == Order::Kind::lead_away)
            suspension.route.push_back(fmt::format("{}.test", OrderBook::relay));
        good = (co_await delivery.orders().suspend(std::move(suspension))).has_value();
    }
    node.parts_.world.trace("order {} {}", number, good ? "stands" : "was not taken");
    if (good) book.stands(number);
}

Task<> Node::Shard::lift() {
    node.parts_.book.orders().lift_all();
    std::vector<engine::OrderId> ids;
    for (const engine::Suspension& one : delivery.orders().suspensions().list())
        ids.push_back(one.id);
    for (const engine::OrderId one : ids) co_await delivery.orders().resume(one);
}

Task<> Node::Shard::change_list(ListChange change) {
    SuppressionBook& book = node.parts_.book.suppressions();
    storage::Store& store = node.parts_.store;
    const size_t number = book.call(change);
    bool good = false;
    if (change.kind == ListChange::Kind::add) {
        std::vector<storage::Suppression> entries;
        for (const std::string& address : change.addresses)
            entries.push_back({.tenant = change.list,
                               .address = address,
                               .reason = "simulated",
                               .source = "api",
                               .time = delivery.intake().now()});
        co_await reads.run([&] { good = store.suppress(entries).has_value(); });
        store.look_again(change.list, delivery.intake().now());
    } else {
        co_await reads.run(
            [&] { good = store.unsuppress(change.list, change.addresses).has_value(); });
    }
    node.parts_.world.trace("list {}: {}", change.list, good ? "changed" : "not changed");
    book.answered(number, good);
}

Task<> Node::Shard::reload(Snapshot next) {
    for (const auto& shard : node.shards_)
        co_await engine::call(node.exchange_.post(id), node.exchange_.post(shard->id),
                              [to = &shard->delivery, next] { to->use(next); });
    node.parts_.book.settings().stands();
    node.parts_.world.trace("the settings are in force");
    node.reloading_ = false;
}

Node::Node(NodeParts parts, Queues queues)
    : parts_(std::move(parts)), directory_(parts_.plan.shards), exchange_(parts_.plan.shards, 16) {
    for (engine::ShardId id = 0; id < parts_.plan.shards; ++id)
        shards_.push_back(std::make_unique<Shard>(*this, id));
    std::vector<Queues> of(shards_.size());
    for (auto& queue : queues)
        of[engine::DeliveryShard::home_of(queue.second.domain, parts_.plan.shards)].push_back(
            std::move(queue));
    for (size_t i = 0; i < shards_.size(); ++i) shards_[i]->delivery.start(std::move(of[i]));
}

Node::~Node() = default;

void Node::submit(size_t shard, const JobPlan& job) {
    Shard& at = *shards_[shard % shards_.size()];
    at.todo.emplace_back([&at, &job] { at.submissions.spawn(at.submit(&job)); });
}

void Node::give(size_t shard, Order order) {
    Shard& at = *shards_[shard % shards_.size()];
    at.todo.emplace_back([&at, order = std::move(order)] { at.submissions.spawn(at.give(order)); });
}

void Node::lift_suspensions() {
    Shard& at = *shards_.front();
    at.todo.emplace_back([&at] { at.submissions.spawn(at.lift()); });
}

void Node::change_list(size_t shard, ListChange change) {
    Shard& at = *shards_[shard % shards_.size()];
    at.todo.emplace_back(
        [&at, change = std::move(change)] { at.submissions.spawn(at.change_list(change)); });
}

bool Node::reload(Snapshot next) {
    if (std::exchange(reloading_, true)) return false;
    // The file is there before anybody reads it: a node that dies now starts with it.
    parts_.plan.settings = next;
    parts_.book.settings().called(next);
    Shard& at = *shards_.front();
    at.todo.emplace_back([&at, next] { at.submissions.spawn(at.reload(next)); });
    return true;
}

void Node::drain(Nanoseconds patience) {
    draining_ = true;
    gate_.close_for_drain();
    for (const auto& shard : shards_)
        shard->todo.emplace_back(
            [at = shard.get(), patience] { at->ending.spawn(at->end(patience)); });
}

bool Node::drained() const {
    return std::ranges::all_of(shards_, [](const auto& shard) { return shard->drained; });
}

void Node::die() {
    for (const auto& shard : shards_) {
        shard->reactor.die();
        parts_.network.crash(shard->reactor);
    }
}

std::vector<Reactor*> Node::runnable() const {
    std::vector<Reactor*> reactors;
    for (const auto& shard : shards_)
        if (shard->reactor.runnable()) reactors.push_back(&shard->reactor);
    return reactors;
}

Instant Node::next_expiry() const {
    Instant first = Instant::max();
    for (const auto& shard : shards_) first = std::min(first, shard->reactor.next_expiry());
    return first;
}

void Node::check_at_rest(bool lost) const {
    const auto fail = [&](const Shard& shard, const std::string& what) {
        parts_.world.fail("nothing is left after a drain",
                          fmt::format("shard {}: {}", shard.id, what));
    };
    for (const auto& shard : shards_) {
        if (!shard->delivery.at_rest()) fail(*shard, "tasks still run");
        if (const size_t left = parts_.network.open_sockets(shard->reactor))
            fail(*shard, fmt::format("{} sockets are open", left));
        if (const size_t left = shard->reactor.buffers_out())
            fail(*shard, fmt::format("{} receive buffers were not given back", left));
        if (const size_t left = shard->reactor.pending())
            fail(*shard, fmt::format("{} operations are pending", left));
        if (shard->worker.backlog() + shard->reads.backlog() + shard->signers.backlog() > 0)
            fail(*shard, "a worker has work");
        if (const size_t left = shard->in_doubt.held(); left > 0 && !lost)
            fail(*shard, fmt::format("{} deliveries are in doubt", left));
    }
}

void bury(std::unique_ptr<Node> node) {
    static auto* const graveyard = new std::vector<std::unique_ptr<Node>>;
    graveyard->push_back(std::move(node));
}

}  // namespace sim

#!/usr/bin/env python3
"""Usage: mutate.py SOURCE TARGET   writes SOURCE with its planted bugs, each behind sim::mutated("name")
         mutate.py --files          the files that have any, relative to the root
         mutate.py --names          the bugs

The product has no test switches. Its files are copied with one line changed per bug, and a second program is built
of the copies. A line that is gone is an error here: choose another for that bug.
"""
import sys

# name -> [(file, line as it is, line with the bug)]; "{on}" asks for the bug.
MUTATIONS = {
    "acknowledges before the sync": [(
        "storage/state.cc",
        "durable.sync = true;",
        "durable.sync = !{on};")],
    "answers without a commit": [(
        "engine/delivery/spool.cc",
        "result = store_.commit(batches, shard_, group_);",
        "if (!{on} || group_ % 4 != 0) result = store_.commit(batches, shard_, group_);")],
    "commits half a group": [(
        "engine/delivery/spool.cc",
        "++group_;",
        "++group_;\n"
        "if ({on} && batches.size() > 1) batches.back().puts.clear();")],
    "drops an event": [(
        "storage/commit.cc",
        "put(Family::event, number_key(seq++));",
        "if (!{on} || event.type == Event::Type::accepted || event.delivery.index % 7 != 3) put(Family::event, number_key(seq));\n"
        "++seq;")],
    "forgets the row of a deferral": [(
        "engine/delivery/outcomes.cc",
        "if (decision.next) batch.puts.push_back(*decision.next);",
        "if (decision.next && (!{on} || decision.next->id.index % 7 != 3)) batch.puts.push_back(*decision.next);")],
    "leaves the row of what has ended": [(
        "engine/delivery/outcomes.cc",
        "batch.removes.push_back(storage::key_of(decision.terms.delivery));",
        "if (!{on} || decision.next) batch.removes.push_back(storage::key_of(decision.terms.delivery));")],
    "ignores the expiry": [
        ("engine/delivery/home_walk.cc",
         "if (now >= delivery.expires) return Ended{};",
         "if (now >= delivery.expires && !{on}) return Ended{};"),
        ("engine/delivery/queue_window.cc",
         "if (one->second.delivery.expires > now) continue;",
         "if (one->second.delivery.expires > now || {on}) continue;"),
        ("engine/delivery/site.cc",
         "return now >= loan.terms().delivery.expires ||",
         "return (now >= loan.terms().delivery.expires && !{on}) ||"),
        ("engine/delivery/outcomes.cc",
         "else if (now >= expires)",
         "else if (now >= expires && !{on})")],
    "one connection too many": [(
        "engine/delivery/site.cc",
        "if (way.path->live >= way.path->connections_max(way.limits, now)) continue;",
        "if (way.path->live >= way.path->connections_max(way.limits, now) + ({on} ? 1 : 0)) continue;")],
    "forgets a loan": [(
        "engine/delivery/delivery_shard.cc",
        "home.push_back(std::move(returned));",
        "if ({on} && returned.terms.delivery.id.index % 7 == 3) return;\n"
        "home.push_back(std::move(returned));")],
    "reads what is lent": [(
        "engine/delivery/home_refill.cc",
        "if (lent_.contains(row.id)) continue;",
        "if (lent_.contains(row.id) && !{on}) continue;")],
    "reads what is still to be announced": [(
        "engine/delivery/home_refill.cc",
        "if (to_be_announced(row.mark)) continue;",
        "if (to_be_announced(row.mark) && !{on}) continue;")],
    "forgets what is left on disk": [(
        "engine/delivery/queue_window.cc",
        "        leave_on_disk(key);\n        return false;",
        "        if (!{on}) leave_on_disk(key);\n        return false;")],
    "doubles a retry": [(
        "engine/delivery/home_record.cc",
        "if (decision.next)\n        place(owner,",
        "if (decision.next && {on}) {\n"
        "    storage::Delivery twin = *decision.next;\n"
        "    twin.due += std::chrono::milliseconds(1);\n"
        "    place(owner, {std::move(twin), terms.job, nullptr});\n"
        "}\n"
        "if (decision.next)\n        place(owner,")],
    "sends before it is due": [
        ("engine/delivery/queue_window.cc",
         "if (first->first.first > now || !first->second.job) break;",
         "if (first->first.first > now + std::chrono::seconds({on} ? 3 : 0) || !first->second.job) break;")],
    "loses the due time of a deferral": [(
        "engine/delivery/outcomes.cc",
        "event.next_attempt = next.due;",
        "event.next_attempt = next.due;\n"
        "if ({on}) next.due = terms.delivery.due + std::chrono::milliseconds(1);")],
    "gives one recipient another's answer": [(
        "engine/smtp/transaction.cc",
        "const size_t recipient = next_rcpt_++;",
        "const size_t at = next_rcpt_++;\n"
        "const size_t recipient = {on} ? (at + 1) % recipients_.size() : at;")],
    "follows a clock that is set at once": [(
        "engine/reactor/steady_wall.cc",
        "offset_ += std::clamp(wanted - offset_, -most, most);",
        "offset_ += {on} ? wanted - offset_ : std::clamp(wanted - offset_, -most, most);")],
    "sends in the clear what demands TLS": [(
        "engine/delivery/introduction.cc",
        "if (done) done = is_enough(session, demand);",
        "if (done && !{on}) done = is_enough(session, demand);")],
    "forgets a connection that it closes": [(
        "engine/delivery/site_sending.cc",
        "    std::erase(open_streams_, listed);\n    connection.stream->close();",
        "    std::erase(open_streams_, listed);\n"
        "    if (!{on}) connection.stream->close();\n"
        "    else (void)connection.stream.release();")],
    "sends on what is suspended": [(
        "engine/delivery/orders.cc",
        "if (order->holds() || !led) return true;",
        "if ((order->holds() || !led) && !{on}) return true;")],
    "lets a suspended source go on": [(
        "engine/delivery/suspensions.cc",
        "return one.reach.source && *one.reach.source == source;",
        "return !{on} && one.reach.source && *one.reach.source == source;")],
    "sends on what is cancelled": [(
        "engine/delivery/orders.cc",
        "return cancellations_->of(*terms.queue, terms.delivery) != nullptr;",
        "return !{on} && cancellations_->of(*terms.queue, terms.delivery) != nullptr;")],
    "forgets orders when it ends": [(
        "engine/delivery/orders.cc",
        "co_await parts_.worker.run([&] { kept = parts_.store.put_notes(kind, {&note, 1}); });",
        "if (!{on}) co_await parts_.worker.run([&] { kept = parts_.store.put_notes(kind, {&note, 1}); });")],
    "leads nobody away": [(
        "engine/delivery/home_orders.cc",
        "const Domain way{.route = parts_.orders.suspensions().route_of(order)};",
        "const Domain* usual = {on} ? &domains_[target.info->domain] : nullptr;\n"
        "    const Domain way{.route = usual && usual->route ? usual->route\n"
        "                                                : parts_.orders.suspensions().route_of(order)};")],
    "two mails in place of one": [(
        "engine/delivery/path.cc",
        "if (limits.rate_per_second > 0) rate = std::min(rate, limits.rate_per_second);",
        "if (limits.rate_per_second > 0) rate = std::min(rate, limits.rate_per_second * ({on} ? 2 : 1));")],
    "opens connections too fast": [(
        "engine/delivery/path.cc",
        "return last_connection + gap_at(limits.connection_rate_per_second);",
        "return last_connection + gap_at(limits.connection_rate_per_second * ({on} ? 30 : 1));")],
    "one mail too many on a connection": [(
        "engine/smtp/window.cc",
        "return max > 0 && begun_ >= max;",
        "return max > 0 && begun_ >= max + ({on} ? 1 : 0);")],
    "one recipient too many": [(
        "engine/delivery/site_sending.cc",
        "while (loans.size() < most) {",
        "while (loans.size() < most + ({on} ? 1 : 0)) {")],
    "keeps a unit that it gives back": [(
        "engine/delivery/unit_lease.cc",
        "held_ -= given;",
        "held_ -= {on} ? 0 : given;")],
    "gives out a moment twice": [(
        "engine/delivery/slot_lease.cc",
        "next_ += grant.gap * static_cast<int64_t>(count);",
        "next_ += grant.gap * static_cast<int64_t>(count) / ({on} ? 2 : 1);")],
    "gives out more than the quota": [(
        "engine/delivery/slot_lease.cc",
        "if (limit > 0) left = std::min(left, limit > count ? limit - count : 0);",
        "if (limit > 0) left = std::min(left, limit + ({on} ? 3 : 0) > count ? limit + ({on} ? 3 : 0) - count : 0);")],
    "forgets quotas when it ends": [(
        "engine/delivery/shares.cc",
        "if (!co_await notes_.write(notes)) co_return;",
        "if (!{on} && !co_await notes_.write(notes)) co_return;")],
    "asks no list before it sends": [(
        "engine/delivery/home_lend.cc",
        "auto& where = may_be_suppressed(terms, suppressed_upto) ? unsure : lending.loans;",
        "auto& where = may_be_suppressed(terms, suppressed_upto) && !{on} ? unsure : lending.loans;")],
    "asks no list at ingest": [(
        "engine/delivery/shard_intake.cc",
        "return !job.reports && store_.suppressed_upto(job.tenant) != storage::JobId{};",
        "return !{on} && !job.reports && store_.suppressed_upto(job.tenant) != storage::JobId{};")],
    "a bounce enters nobody": [(
        "engine/delivery/outcomes.cc",
        "if (!decision.suppresses) continue;",
        "if (!decision.suppresses || {on}) continue;")],
    "a retired site goes on": [(
        "engine/delivery/delivery_shard_reload.cc",
        "    site->drain();\n    if (!site->idle())",
        "    if (!{on}) site->drain();\n    if (!site->idle())")],
    "keeps the limits of before": [(
        "engine/delivery/site_reload.cc",
        "policy_.limits = std::move(limits);",
        "if (!{on}) policy_.limits = std::move(limits);")],
    "helps without a share": [(
        "engine/delivery/claims.cc",
        "if (!path || count_ == shares_.size()) return;",
        "if (!path || {on} || count_ == shares_.size()) return;")],
    "forgets what stood when it was spread": [(
        "engine/delivery/shares.cc",
        "    if (of_path.units) {\n        of_path.units->adopt(parts_.post.self(), begun.connections);",
        "    if (of_path.units && !{on}) {\n        of_path.units->adopt(parts_.post.self(), begun.connections);")],
    "sends what a reload took away": [(
        "engine/delivery/delivery_shard.cc",
        "if (draining_ || lending.settings != settings_.number()) return;",
        "if (draining_ || (!{on} && lending.settings != settings_.number())) return;")],
    "takes 4yz for a success": [(
        "engine/smtp/transaction.cc",
        "    if (says_yes(reply)) {\n        if (accepted_ == 0",
        "    if (says_yes(reply) || ({on} && reply.transient())) {\n        if (accepted_ == 0")],
}


def files():
    found = []
    for changes in MUTATIONS.values():
        for file, _, _ in changes:
            if file not in found:
                found.append(file)
    return found


def mutate(source, target):
    file = next(f for f in files() if source.endswith("/" + f))
    with open(source, encoding="utf-8") as f:
        text = f.read()
    changed = set()
    for name, changes in MUTATIONS.items():
        for where, before, after in changes:
            if where != file:
                continue
            if text.count(before) != 1:
                sys.exit(f"mutate.py: {file} has {text.count(before)} times the line that the planted bug '{name}' "
                         f"changes:\n    {before}\nChoose another line in tests/sim/mutate.py.")
            if before in changed:
                sys.exit(f"mutate.py: two planted bugs change the same line of {file}:\n    {before}")
            changed.add(before)
            text = text.replace(before, after.replace("{on}", f'sim::mutated("{name}")'))
    with open(target, "w", encoding="utf-8") as f:
        f.write('#include "tests/sim/mutation.h"\n' + text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--files"]:
        print(";".join(files()), end="")
    elif sys.argv[1:] == ["--names"]:
        print("\n".join(MUTATIONS))
    elif len(sys.argv) == 3:
        mutate(sys.argv[1], sys.argv[2])
    else:
        sys.exit(__doc__)

#include "tests/sim/book.h"

#include <algorithm>
#include <charconv>

#include "engine/bounce/bounce_class.h"
#include "engine/delivery/suppressed.h"
#include "metrics/check.h"

namespace sim {

using storage::Event;

namespace {

constexpr size_t events_per_read = 500;

bool read_number(std::string_view& text, uint64_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return true;
}

/// When it was due, as the book knew it then.
WallTime due_at(const Item& item, Instant then) {
    for (const auto& [until, before] : item.due_before)
        if (then <= until) return before;
    return item.due;
}

}  // namespace

std::string Book::address_of(const JobBook& job, uint32_t index, const std::string& domain) {
    return fmt::format("{}{}.{}{}@{}", job.spelling % 2 == 0 ? 'u' : 'U', index,
                       job.spelling / 2 == 0 ? 'j' : 'J', job.root, domain);
}

std::string Book::listed_form(const Item& item) {
    return engine::suppressed_form(item.address, item.domain);
}

Item* Book::item_of(std::string_view address) {
    uint64_t index = 0, root = 0;
    std::string_view rest = address;
    const auto letter = [&](char small, char large) -> std::optional<unsigned> {
        if (rest.empty() || (rest.front() != small && rest.front() != large)) return std::nullopt;
        const unsigned is_large = rest.front() == large;
        rest.remove_prefix(1);
        return is_large;
    };
    const auto user = letter('u', 'U');
    if (!user || !read_number(rest, index) || !rest.starts_with(".")) return nullptr;
    rest.remove_prefix(1);
    const auto of_job = letter('j', 'J');
    if (!of_job || !read_number(rest, root)) return nullptr;
    const auto job = by_spelling_.find({root, *user + 2 * *of_job});
    if (job == by_spelling_.end()) return nullptr;
    JobBook& found = jobs_[job->second];
    if (index >= found.items.size() || found.items[index].address != address) return nullptr;
    return &found.items[index];
}

Item* Book::item_of(storage::DeliveryId id) {
    const auto found = by_id_.find(static_cast<uint64_t>(id.job));
    if (found == by_id_.end()) return nullptr;
    JobBook& job = jobs_[found->second];
    return id.index < job.items.size() ? &job.items[id.index] : nullptr;
}

std::string Book::name(const Item& item) const {
    return fmt::format("{} (attempts {}, due in {} ms, expires in {} ms)", item.address,
                       item.attempts, (item.due - world_.engine_wall()).count(),
                       (item.expires - world_.engine_wall()).count());
}

size_t Book::add_job(JobBook job) {
    totals_.deliveries += job.items.size();
    const size_t number = jobs_.size();
    if (job.spelling == 0) job.root = number;
    CHECK(by_spelling_.emplace(std::pair(job.root, job.spelling), number).second,
          "two jobs with the same recipients");
    jobs_.push_back(std::move(job));
    return number;
}

void Book::named(size_t job, storage::JobId id) {
    jobs_[job].id = id;
    jobs_[job].named_at = world_.now();
    const auto [at, is_new] = by_id_.emplace(static_cast<uint64_t>(id), job);
    if (is_new) return;
    // A crash took the one before it: nothing of it was stored and nobody was told so, at most that
    // it was refused. Where the clock was set backwards its id may come again (seed 77100245).
    const JobBook& before = jobs_[at->second];
    const bool left_traces = std::ranges::any_of(before.items, [](const Item& item) {
        return item.acknowledged || item.state != Item::State::unknown;
    });
    if (before.named_at >= booted_at_ || left_traces)
        world_.fail("job ids are unique", fmt::format("job {} has an id twice given", job));
    at->second = job;
}

void Book::offered(size_t job, uint32_t first, uint32_t count) {
    jobs_[job].parts.push_back({first, count, false});
}

void Book::acknowledged(size_t job) {
    JobBook::Part& part = jobs_[job].parts.back();
    part.answered = true;
    for (uint32_t i = part.first; i < part.first + part.count; ++i) {
        Item& item = jobs_[job].items[i];
        item.acknowledged = true;
        ++totals_.acknowledged;
        if (item.state == Item::State::unknown)
            world_.fail("acknowledged is in the store",
                        name(item) + " was acknowledged and has no event");
    }
}

void Book::refused(size_t job) {
    JobBook::Part& part = jobs_[job].parts.back();
    part.answered = true;
    for (uint32_t i = part.first; i < part.first + part.count; ++i)
        if (const Item& item = jobs_[job].items[i]; item.state != Item::State::unknown)
            world_.fail("refused is not kept", name(item) + " was refused and has an event");
}

void Book::booted(storage::Store& store) {
    ++boot_;
    booted_at_ = world_.now();
    // The clock of this boot may say that much more time has passed.
    if (healed_) healed_->wall = std::max(healed_->wall, world_.engine_wall());
    poll(store);
}

void Book::stopped(Lost lost) {
    if (lost != Lost::nothing) lossy_boots_.insert(boot_);
    if (lost == Lost::machine) dark_boots_.insert(boot_);
    suppressions_.stopped();
    for (JobBook& job : jobs_)
        for (JobBook::Part& part : job.parts) part.answered = true;
}

void Book::check_restart(storage::Store& store) {
    auto expected = events_.begin();
    for (uint64_t seen = 0; expected != events_.end();) {
        const auto events = store.events(seen, events_per_read);
        if (!events || events->empty()) {
            world_.fail("events outlive a crash",
                        fmt::format("from {} on they are gone: {}", expected->first,
                                    events ? "no more" : events.error().what));
            return;
        }
        for (const Event& event : *events) {
            seen = event.seq;
            if (expected == events_.end()) break;
            if (event.seq != expected->first ||
                std::pair(event.type, event.delivery) != expected->second) {
                world_.fail("events outlive a crash",
                            fmt::format("event {} is another one now", expected->first));
                return;
            }
            ++expected;
        }
    }
    poll(store);
    check_parts();
    check_rows(store);
}

void Book::check_parts() {
    for (const JobBook& job : jobs_) {
        for (const JobBook::Part& part : job.parts) {
            const auto known = std::count_if(
                job.items.begin() + part.first, job.items.begin() + part.first + part.count,
                [](const Item& item) { return item.state != Item::State::unknown; });
            if (known != 0 && known != part.count)
                world_.fail("a part is whole or not at all",
                            fmt::format("of {} deliveries behind {} there are {}", part.count,
                                        job.items[part.first].address, known));
        }
    }
}

void Book::poll(storage::Store& store) {
    while (store.last_event() > last_seq() && !world_.failure()) {
        const auto events = store.events(last_seq(), events_per_read);
        if (!events || events->empty()) return;  // a read that fails is tried again
        for (const Event& event : *events) {
            if (event.seq <= last_seq()) {
                world_.fail("events come in order",
                            fmt::format("{} follows {}", event.seq, last_seq()));
                return;
            }
            events_.emplace(event.seq, std::pair(event.type, event.delivery));
            apply(event);
            if (event.type == Event::Type::bounced) check_bounce_entry(store, event);
        }
    }
}

void Book::apply(const Event& event) {
    ++totals_.events;
    Item* item = item_of(event.delivery);
    if (item == nullptr) {
        world_.fail("events are of our deliveries", "event of an unknown delivery to " + event.to);
        return;
    }
    const auto number = static_cast<int>(event.type);
    world_.trace("event {} type {} {} attempt {} stage {} code {} {}", event.seq, number,
                 item->address, event.attempt, event.stage, event.code,
                 event.in_doubt ? "in doubt" : "");
    if (item->address != event.to) world_.fail("events name the recipient", name(*item));
    storage::JobCounts& counts = ledger_[event.tenant];
    if (event.in_doubt) {
        item->doubts.push_back(world_.now());
        ++totals_.in_doubt;
    }
    if (event.type == Event::Type::accepted) {
        if (item->state != Item::State::unknown)
            world_.fail("one accepted event", name(*item) + " has two");
        const JobBook& job = jobs_[item->job];
        item->state = Item::State::open;
        item->accepted_at = world_.now();
        item->due = std::max(job.send_at.value_or(event.time), event.time);
        item->expires = item->due + job.expires_in;
        ++counts.accepted;
        ++open_;
        return;
    }
    if (item->state == Item::State::unknown)
        world_.fail("accepted comes first", name(*item) + " has another event first");
    if (item->state == Item::State::ended)
        world_.fail("nothing follows a terminal event", name(*item) + " has an event after it");
    const bool attempted = event.type != Event::Type::expired &&
                           event.type != Event::Type::cancelled &&
                           event.type != Event::Type::suppressed;
    const bool next = event.attempt == item->attempts + 1;
    if (!next && (attempted || event.attempt != item->attempts))
        world_.fail("attempts are counted one by one",
                    fmt::format("{} has event of attempt {}", name(*item), event.attempt));
    if (event.type == Event::Type::deferred) {
        ++totals_.deferred;
        ++counts.deferrals;
        item->attempts = event.attempt;
        item->deferred_at = world_.now();
        item->held = event.in_doubt && !event.next_attempt;
        if (item->held) {
            item->due_before.emplace_back(world_.now(), item->due);
            item->due = item->expires;
            return;
        }
        if (!event.next_attempt || *event.next_attempt <= item->due)
            world_.fail("a deferral moves the due time forward", name(*item));
        item->due_before.emplace_back(world_.now(), item->due);
        item->due = event.next_attempt.value_or(item->due);
        return;
    }
    terminal(*item, event);
}

void Book::terminal(Item& item, const Event& event) {
    storage::JobCounts& counts = ledger_[event.tenant];
    item.state = Item::State::ended;
    item.end = event.type;
    item.ended_at = world_.now();
    --open_;
    switch (event.type) {
        case Event::Type::delivered:
            ++counts.delivered;
            ++totals_.delivered;
            return check_delivered(item, event);
        case Event::Type::bounced:
            ++counts.bounced;
            ++totals_.bounced;
            if (!item.refused && !item.lied_to &&
                !(jobs_[item.job].lied_to && event.stage == "mail"))
                world_.fail("a bounce has a reason", name(item) + " bounced: " + event.reply);
            return;
        case Event::Type::expired:
            ++counts.expired;
            ++totals_.expired;
            return check_expired(item, event);
        case Event::Type::cancelled:
            ++counts.cancelled;
            ++totals_.cancelled;
            if (!orders_.cancelled(item, jobs_[item.job]))
                world_.fail("only what somebody cancelled is cancelled", name(item));
            return;
        case Event::Type::suppressed:
            ++counts.suppressed;
            ++totals_.suppressed;
            if (!suppressions_.may_be_listed(item.tenant, listed_form(item),
                                             jobs_[item.job].named_at))
                world_.fail("only who is on a list is suppressed", name(item));
            return;
        default:
            world_.fail("known terminal events", name(item) + " ended in another way");
    }
}

void Book::check_delivered(const Item& item, const Event& event) {
    if (event.in_doubt) return;  // assumed, as the settings say
    const bool said = std::ranges::any_of(
        item.acceptances, [](const Acceptance& acceptance) { return acceptance.read.has_value(); });
    if (!said && !item.lied_to)
        world_.fail("delivered means that a receiver has it", name(item) + " was never taken");
}

void Book::check_expired(const Item& item, const Event& event) {
    if (event.time < item.expires || world_.engine_wall() + world_.clock_slack() < item.expires)
        world_.fail("nothing expires early", name(item));
    if (!healed_) return;
    if (const auto since = orders_.cancelled_since(item, jobs_[item.job]))
        if (world_.now() > std::max(*since, healed_->at) + healed_->life)
            world_.fail("what is cancelled ends at once", name(item) + " expired");
    if (item.held) return;
    // An attempt before that may have put its next one off until its expiry, and a clock that was
    // set back makes that a long time.
    const WallTime well_since = std::max(healed_->wall, due_at(item, healed_->at));
    if (item.expires > well_since + healed_->life)
        world_.fail("what is well is delivered", name(item) + " expired all the same");
}

/// An entry that a bounce makes is there exactly when its event is.
void Book::check_bounce_entry(storage::Store& store, const Event& event) {
    const auto klass = engine::parse_bounce_class(event.bounce_class);
    if (!klass) return world_.fail("a bounce has a class", event.to);
    const std::string address = engine::suppressed_form(event.to, event.domain);
    const auto enters = [&](const engine::Settings& settings) {
        return settings.suppresses(event.tenant, *klass);
    };
    // It was decided some time before, when the disk was full.
    const Instant from = world_.now() - settings_.lag(world_.now());
    const bool must = settings_.all(from, world_.now(), enters);
    const bool must_not = settings_.all(
        from, world_.now(), [&](const engine::Settings& settings) { return !enters(settings); });
    const auto entry = store.suppression(event.tenant, address);
    if (!entry) return;  // a disk that cannot be read says nothing
    if (must) ++totals_.listed_by_bounces;
    const bool removed = suppressions_.removal_goes_on(event.tenant, address);
    if (must && !*entry && !removed)
        world_.fail("a bounce enters its recipient", address + " is not on its list");
    if (must_not && *entry && !suppressions_.may_be_on(event.tenant, address))
        world_.fail("only what was asked for is on a list", address + " is on one");
    if (*entry && (*entry)->source == "bounce") suppressions_.bounced(event.tenant, address);
}

/// What a site held when the entry came is not asked again. What was at home then, for certain, is.
void Book::check_suppressed(const Item& item, const Way& way) {
    const auto since = suppressions_.listed_since(item.tenant, listed_form(item));
    if (!since || way.begun < *since) return;
    const bool was_home = item.accepted_at >= *since || item.deferred_at >= *since ||
                          booted_at_ >= *since ||
                          world_.engine_wall(*since) + world_.clock_slack() < due_at(item, *since);
    if (!was_home) return;
    const auto later = std::chrono::floor<std::chrono::milliseconds>(way.begun - *since);
    world_.fail("nothing is sent to who is on a suppression list",
                fmt::format("{}, {} ms after", name(item), later.count()));
}

void Book::check_route(const Item& item, const Way& way) {
    if (way.group == OrderBook::relay) return;  // orders lead there
    const auto is_led = [&](const engine::Settings& settings) {
        const engine::DomainSettings* domain = led_domain(settings);
        return domain && domain->name == item.domain;
    };
    const Instant from = way.begun - settings_.lag(way.begun), now = world_.now();
    if (way.group != SettingsBook::fixed_group) {
        if (settings_.all(from, now, is_led))
            world_.fail("a fixed route is kept to",
                        fmt::format("{} went to {}", item.address, way.group));
    } else if (settings_.all(from, now, [&](const auto& one) { return !is_led(one); })) {
        world_.fail("only who has a fixed route takes it", item.address);
    }
}

void Book::check_rows(storage::Store& store) {
    std::set<storage::QueueId> queues;
    for (const JobBook& job : jobs_)
        for (const Item& item : job.items) queues.insert(item.queue);
    size_t rows = 0;
    for (const storage::QueueId queue : queues) {
        const auto found = store.read_queue(queue, std::nullopt, SIZE_MAX);
        if (!found) return;  // a disk that cannot be read says nothing
        for (const storage::Delivery& row : *found) {
            ++rows;
            const Item* item = item_of(row.id);
            if (item == nullptr || item->state != Item::State::open || item->queue != queue) {
                world_.fail("rows are open deliveries",
                            "a row of " + row.recipient + " which is not open in that queue");
                continue;
            }
            if (row.attempts != item->attempts || row.due != item->due ||
                row.expires != item->expires)
                world_.fail("rows are as their events say",
                            fmt::format("{}: its row has attempts {}, due {} ms and expiry {} ms "
                                        "beside that",
                                        name(*item), row.attempts, (row.due - item->due).count(),
                                        (row.expires - item->expires).count()));
        }
    }
    if (rows != open_)
        world_.fail("each open delivery has a row",
                    fmt::format("{} rows and {} open ones", rows, open_));
    for (const auto& [tenant, counts] : store.ledger()) {
        const storage::JobCounts& want = ledger_[tenant];
        if (counts.accepted != want.accepted || counts.delivered != want.delivered ||
            counts.bounced != want.bounced || counts.expired != want.expired ||
            counts.cancelled != want.cancelled || counts.suppressed != want.suppressed ||
            counts.open() != want.open())
            world_.fail("the ledger is the sum of the events", "tenant " + tenant);
    }
}

void Book::tried(Item& item, Link& link, const Way& way) {
    const Instant sent = way.sent;
    orders_.check_sent(item, jobs_[item.job], way);
    check_suppressed(item, way);
    check_route(item, way);
    const WallTime when = world_.engine_wall(sent);
    if (item.state == Item::State::unknown)
        world_.fail("only what is accepted is sent", item.address + " is on the wire before that");
    if (item.state == Item::State::ended && item.ended_at < sent)
        world_.fail("nothing is sent after its end", name(item));
    // It may have been on its way for so long that its answer is no longer waited for: what was due
    // when it was sent counts.
    if (when + world_.clock_slack() < due_at(item, sent))
        world_.fail("nothing is sent before it is due", name(item));
    if (world_.engine_wall(way.begun) > item.expires + Way::under_way)
        world_.fail("nothing is sent after its expiry", name(item));
    for (const Acceptance& before : item.acceptances) {
        if (!before.trusted) continue;
        // What a node that is gone has sent may be read behind what the next one sends.
        const bool late = way.boot < before.boot;
        if (!late && before.read && *before.read < sent && !lossy_boots_.contains(before.boot))
            world_.fail("what was answered is not sent again", name(item));
        const bool could_know = before.link->open_here() || before.link->closed_at() > sent;
        if (!late && !before.read && could_know && before.link.get() != &link)
            world_.fail("nothing is sent twice at a time", name(item));
        // What goes again was named, also when the process died over it. Only the machine's death
        // may take that along.
        const bool named =
            std::ranges::any_of(item.doubts, [&](Instant doubt) { return doubt >= before.sent; });
        // What was sent before that, and is read only now, is no further attempt: perhaps it
        // stopped short of the content.
        const bool again = !late && sent >= before.sent;
        if (again && !named && !dark_boots_.contains(before.boot) && before.link.get() != &link)
            world_.fail("what may be a duplicate was called in doubt", name(item));
    }
}

size_t Book::took(Item& item, std::shared_ptr<Link> link, bool trusted, Sent sent) {
    ++totals_.accepted;
    if (!item.acceptances.empty()) ++totals_.duplicates;
    item.acceptances.push_back({std::move(link), sent.boot, std::nullopt, trusted, sent.at});
    return item.acceptances.size() - 1;
}

const JobBook* Book::job_of_sender(std::string_view sender) const {
    uint64_t number = 0;
    if (!sender.starts_with("b")) return nullptr;
    sender.remove_prefix(1);
    return read_number(sender, number) && number < jobs_.size() ? &jobs_[number] : nullptr;
}

void Book::lied_to_sender(std::string_view sender) {
    uint64_t number = 0;
    if (!sender.starts_with("b")) return;
    sender.remove_prefix(1);
    if (read_number(sender, number) && number < jobs_.size()) jobs_[number].lied_to = true;
}

void Book::answer_read(Item& item, size_t acceptance) {
    item.acceptances[acceptance].read = world_.now();
}

WallTime Book::last_expiry() const {
    WallTime last = WallTime::min();
    for (const JobBook& job : jobs_)
        for (const Item& item : job.items)
            if (item.state == Item::State::open) last = std::max(last, item.expires);
    return last;
}

std::string Book::describe_open() const {
    std::string text;
    size_t named = 0;
    for (const JobBook& job : jobs_)
        for (const Item& item : job.items)
            if (item.state == Item::State::open && ++named <= 5) text += name(item) + "; ";
    return text;
}

}  // namespace sim

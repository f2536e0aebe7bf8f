// Reading queues back from disk. A refill runs on the worker that the spool commits on, so it falls
// before or after each commit of this home's outcomes, and its result is taken in that order.
#include <algorithm>
#include <functional>

#include "engine/delivery/home.h"
#include "engine/reactor/sleep.h"
#include "metrics/check.h"
#include "metrics/log.h"
#include "storage/ids.h"

namespace engine {

namespace {
constexpr auto refill_retry = std::chrono::seconds(5);  // after a read that failed

/// What is damaged stays damaged; any other failure may pass.
template <class T>
bool is_to_be_repeated(const storage::Result<T>& read) {
    return !read && read.error().code != storage::Errc::corruption;
}
}  // namespace

struct Home::Refill {
    storage::QueueId queue;
    storage::DeliveryKey after;
    size_t limit = 0;
    storage::Result<std::vector<storage::Delivery>> rows;
};

/// Looks at every queue that was on disk at the start, a few in each visit, beside what is wanted
/// meanwhile: whatever is due first goes out first, and the rest is known a little later.
void Home::look_at_all() {
    // From its end on: transactional ones first, then in the order of the disk.
    const auto transactional = std::ranges::partition(unlooked_, [&](const storage::QueueId id) {
        return queues_.at(id)->info->klass == storage::Class::bulk;
    });
    std::ranges::sort(unlooked_.begin(), transactional.begin(), std::greater());
    std::ranges::sort(transactional, std::greater());
    if (unlooked_.empty() || refilling_) return;
    refilling_ = true;
    scope_.spawn(refill());
}

/// Reads the heads of those whose turn it is: rows, then contents. With too many contents in memory
/// one at a time, when what is out has come home.
void Home::fetch_more(Link& link) {
    while (!link.unread.empty()) {
        if (contents_over_budget() && link.fetching + link.order.out() > 0) return;
        Queue& next = *link.unread.front();
        link.unread.pop_front();
        ++link.fetching;
        go_on_fetching(next);
    }
}

/// Likewise, for a queue whose domain has no route.
void Home::fetch(Queue& target) {
    target.place = Queue::Place::fetching;
    go_on_fetching(target);
}

void Home::go_on_fetching(Queue& target) {
    const bool on_disk = target.window.size() == 0 && target.window.cursor();
    if (on_disk)
        want_refill(target);
    else if (is_due(target, parts_.reactor.wall()) && !target.window.first_loaded())
        want_load(target);
    else
        fetched(target);
}

void Home::fetched(Queue& target) {
    Link* link = std::exchange(target.fetched_for, nullptr);
    target.place = Queue::Place::idle;
    if (link) {
        --link->fetching;
        if (is_due(target, parts_.reactor.wall())) {
            target.place = Queue::Place::ready;
            target.turn_left = fetch_rows;
            link->fetched.push_back(&target);
        } else {
            const storage::QueueInfo& info = *target.info;
            link->order.come_back(info.klass, info.tenant, quantum);
            link->order.lent(info.klass, info.tenant, 0);
        }
        offer(*link);
    }
    schedule(target);
    forget_if_empty(target);
    changed_.notify_all();
}

void Home::want_refill(Queue& target) {
    if (target.refill_wanted || target.window.refilling() || stopping_) return;
    target.refill_wanted = true;
    refills_.push_back(target.id);
    if (refilling_) return;
    refilling_ = true;
    scope_.spawn(refill());
}

std::vector<Home::Refill> Home::next_refills() {
    std::vector<Refill> batch;
    const WallTime now = parts_.reactor.wall();
    for (; !refills_.empty() && batch.size() < refill_queues; refills_.pop_front()) {
        const auto found = queues_.find(refills_.front());
        CHECK(found != queues_.end(), "a queue was forgotten while it waited for a refill");
        Queue& target = *found->second;
        target.refill_wanted = false;
        const bool wanted = target.place == Queue::Place::fetching;
        const bool others_wait =
            target.fetched_for && target.fetched_for->order.waiting() >= near_turns;
        const size_t limit = std::max(std::min(room(now), others_wait ? fetch_rows : window_max),
                                      wanted ? quantum : 0);
        if (!target.window.cursor() || target.window.size() >= limit ||
            target.place == Queue::Place::held) {
            wanted ? go_on_fetching(target) : forget_if_empty(target);
            continue;
        }
        const size_t rows = std::min(limit - target.window.size(), refill_rows);
        batch.push_back({target.id, target.window.begin_refill(), rows, {}});
    }
    // While there is much room, what is due is kept as it is found; else only when it is due.
    const size_t looked_rows = waiting_.bytes < windows_bytes_max() / 4 ? quantum : 1;
    for (size_t i = 0; i < look_queues && !unlooked_.empty(); ++i) {
        const auto found = queues_.find(unlooked_.back());
        unlooked_.pop_back();
        if (found == queues_.end()) continue;
        Queue& target = *found->second;
        if (target.place != Queue::Place::unlooked || target.window.refilling()) continue;
        batch.push_back({target.id, target.window.begin_refill(), looked_rows, {}});
    }
    return batch;
}

Task<> Home::refill() {
    while ((!refills_.empty() || !unlooked_.empty()) && !stopping_) {
        std::vector<Refill> batch = next_refills();
        if (batch.empty()) continue;
        co_await parts_.worker.run([&batch, &store = parts_.store] {
            for (Refill& one : batch) one.rows = store.read_queue(one.queue, one.after, one.limit);
        });
        bool failed = false;
        for (Refill& one : batch) {
            failed |= !one.rows.has_value();
            take_refill(one);
        }
        if (failed && !stopping_) co_await sleep_for(parts_.reactor, refill_retry);
    }
    refilling_ = false;
    // Left over when stopping: they are on disk.
    refills_.clear();
}

void Home::take_refill(Refill& refill) {
    Queue& target = *queues_.at(refill.queue);
    const bool looked = target.place == Queue::Place::unlooked;
    if (!refill.rows) {
        metrics::log::error("queue.read_failed",
                            {{"domain", target.info->domain}, {"error", refill.rows.error().what}});
        target.window.end_refill({}, refill.after);
        if (looked)
            unlooked_.push_back(target.id);
        else
            want_refill(target);
        return;
    }
    std::optional<storage::DeliveryKey> upto;
    if (refill.rows->size() >= refill.limit) upto = storage::key_of(refill.rows->back());
    std::vector<Waiting> rows;
    rows.reserve(refill.rows->size());
    for (storage::Delivery& row : *refill.rows) {
        const bool later = far(row.due);
        if (later && room(row.due) == 0) {
            upto = before(storage::key_of(row));  // it and what follows stay on disk
            break;
        }
        if (lent_.contains(row.id)) continue;
        if (to_be_announced(row.mark)) continue;
        target.first_expiry = std::min(target.first_expiry, row.expires);
        std::shared_ptr<const JobInfo> job = later ? nullptr : known_job(row.id.job);
        rows.push_back({std::move(row), std::move(job), nullptr});
    }
    target.window.end_refill(std::move(rows), upto);
    if (looked) {
        target.place = Queue::Place::idle;
        if (refill.limit == 1) target.window.leave_all();
    }
    if (target.place == Queue::Place::fetching) return go_on_fetching(target);
    schedule(target);
    forget_if_empty(target);
    changed_.notify_all();
}

/// Contents are read when the head of a queue is due and has none: not for what is due tomorrow,
/// and not for a whole window at once.
void Home::want_load(Queue& target) {
    if (target.load_wanted || stopping_) return;
    target.load_wanted = true;
    loads_.push_back(target.id);
    if (loading_) return;
    loading_ = true;
    scope_.spawn(load());
}

struct Home::Load {
    storage::JobId id;
    storage::Result<std::optional<storage::JobStatus>> job;
    storage::Result<std::optional<std::string>> content;
};

Task<> Home::load() {
    while (!loads_.empty() && !stopping_) {
        std::vector<storage::QueueId> wanted;
        std::vector<Load> loads;
        QueueWindow::Jobs known;
        for (; !loads_.empty() && wanted.size() < load_queues; loads_.pop_front()) {
            Queue& target = *queues_.at(loads_.front());
            wanted.push_back(target.id);
            for (const storage::JobId job : target.window.jobs_missing(load_ahead())) {
                if (auto here = known_job(job))
                    known.emplace(job, std::move(here));
                else
                    loads.push_back({job, {}, {}});
            }
        }
        std::ranges::sort(loads, {}, &Load::id);
        const auto repeated = std::ranges::unique(loads, {}, &Load::id);
        loads.erase(repeated.begin(), repeated.end());

        QueueWindow::Jobs jobs = co_await read_jobs(std::move(loads));
        jobs.merge(known);
        for (const storage::QueueId id : wanted) {
            Queue& target = *queues_.at(id);
            target.load_wanted = false;
            target.window.loaded(jobs);
            if (target.place == Queue::Place::fetching) {
                go_on_fetching(target);
            } else {
                schedule(target);
                forget_if_empty(target);
            }
        }
        changed_.notify_all();
    }
    loading_ = false;
    loads_.clear();  // left over when stopping
}

size_t Home::load_ahead() const {
    return contents_over_budget() ? 1 : load_ahead_max;
}

/// Reads until the disk has given all of them, or we stop.
Task<QueueWindow::Jobs> Home::read_jobs(std::vector<Load> loads) {
    QueueWindow::Jobs jobs;
    while (!loads.empty() && !stopping_) {
        co_await parts_.worker.run([&loads, &store = parts_.store] {
            for (Load& load : loads) {
                load.job = store.job(load.id);
                load.content = store.content(load.id);
            }
        });
        std::erase_if(loads, [&](Load& load) {
            if (is_to_be_repeated(load.job) || is_to_be_repeated(load.content)) return false;
            jobs.emplace(load.id, job_info(load));
            return true;
        });
        if (loads.empty()) break;
        const Load& first = loads.front();
        metrics::log::error("job.read_failed",
                            {{"job", storage::to_text(first.id)},
                             {"error", is_to_be_repeated(first.job) ? first.job.error().what
                                                                    : first.content.error().what}});
        co_await sleep_for(parts_.reactor, refill_retry);
    }
    co_return jobs;
}

/// A job whose content is gone, damaged or does not decode gets none; its deliveries are deferred
/// with words that say so, and the others go on.
std::shared_ptr<const JobInfo> Home::job_info(Load& load) {
    const storage::JobId id = load.id;
    storage::Job job{.id = id};
    const bool has_row = load.job && *load.job;
    if (has_row) job = std::move((*load.job)->job);
    std::shared_ptr<const Content> content;
    std::string trouble;
    if (!load.job)
        trouble = load.job.error().what;
    else if (!has_row)
        trouble = "the job's row is missing";
    else if (!load.content)
        trouble = load.content.error().what;
    else if (!*load.content)
        trouble = "the content's row is missing";
    else if (auto decoded = Content::decode(**load.content); !decoded)
        trouble = decoded.error();
    else
        content = std::make_shared<const Content>(std::move(*decoded));
    if (!trouble.empty())
        metrics::log::error("job.content_lost",
                            {{"job", storage::to_text(id)}, {"error", trouble}});
    auto info =
        std::make_shared<const JobInfo>(std::move(job), std::move(content), parts_.content_memory);
    remember_job(info);
    keep_job(info);
    return info;
}

/// A job whose queues have their turns one after the other is not read anew for each.
void Home::keep_job(const std::shared_ptr<const JobInfo>& job) {
    if (!job->content()) return;  // an operator may bring it back
    if (contents_over_budget()) return kept_jobs_.clear();
    kept_jobs_.push_back(job);
    if (kept_jobs_.size() > jobs_kept_max) kept_jobs_.pop_front();
}

std::shared_ptr<const JobInfo> Home::known_job(storage::JobId id) {
    const auto found = jobs_.find(id);
    return found == jobs_.end() ? nullptr : found->second.lock();
}

void Home::remember_job(const std::shared_ptr<const JobInfo>& job) {
    auto& slot = jobs_[job->job().id];
    if (slot.expired()) slot = job;
    if (jobs_.size() < jobs_sweep_at_) return;
    std::erase_if(jobs_, [](const auto& entry) { return entry.second.expired(); });
    jobs_sweep_at_ = std::max<size_t>(1024, jobs_.size() * 2);
}

}  // namespace engine

// What a site does with an open connection: pull the next loans when it can send them, send,
// settle.
#include <algorithm>
#include <optional>
#include <utility>

#include "engine/delivery/connection_tap.h"
#include "engine/delivery/counted.h"
#include "engine/delivery/elapsed.h"
#include "engine/delivery/letter.h"
#include "engine/delivery/site.h"
#include "engine/reactor/sleep.h"
#include "engine/smtp/mail_source.h"
#include "engine/smtp/session.h"
#include "engine/smtp/transaction.h"
#include "metrics/check.h"

namespace engine {

namespace {

/// Between looks for free slots in the journal of what is in doubt: so many are taken only while
/// the store does not keep up with outcomes.
constexpr auto journal_look = std::chrono::milliseconds(10);
/// A content waits so long for the mail that goes behind it: that costs one round trip less, of the
/// receiver and of us. With the signers crowded it is a few milliseconds.
constexpr auto made_wait = std::chrono::milliseconds(50);
constexpr auto look_again_at_rate = std::chrono::seconds(1);

}  // namespace

/// Null: none could be opened, and what follows from it is done.
Task<std::unique_ptr<Site::Connection>> Site::open_connection(std::shared_ptr<const Route> route,
                                                              Way* way) {
    Opened opened;
    {
        const Counted connecting(connecting_);
        const Counted of_way(way->connecting);
        opened = co_await open(std::move(route), way);
    }
    if (!opened && draining_) co_return nullptr;  // given up: no word of the host
    if (!opened) {
        open_failed_.add();
        not_opened(std::move(opened.error()), way);
        co_return nullptr;
    }
    opened_.add();
    way->failures_in_a_row = 0;
    co_return std::move(*opened);
}

/// What one connection sends. It pulls loans when the session can write them, has their mail
/// written, and settles them when their outcome is known.
class Site::Feed final : public MailSource {
  public:
    Feed(Site& site, Connection& connection)
        : site_(site), connection_(connection), written_(site.parts_.reactor) {
        connection_.tap->carries(&under_way_);
    }
    ~Feed() override { connection_.tap->carries(nullptr); }

    std::optional<Mail> take() override;
    bool ready() const override { return draft_ != nullptr || may_pull(); }
    void prepare() override {
        if (!draft_ && may_pull() && may_draft() && slot_is_free() && !gives_way()) begin_draft();
    }
    bool making() const override { return draft_ && !draft_->mail && !hurries(); }
    Task<> made() override;
    Task<bool> wait() override;
    void content_leaves(size_t place, const Transaction& transaction) override;
    void settle(Outcome outcome) override;
    /// After the session's last call: what was drafted and not taken goes back to its place.
    Task<> finish();

  private:
    struct Draft {
        std::vector<Loan> loans;
        std::optional<Mail> mail;  // once it is written
    };
    bool may_pull() const;
    bool may_draft() const { return !under_way_.empty() || !site_.parts_.letters.crowded(); }
    bool hurries() const;
    bool gives_way();
    bool slot_is_free() const;
    bool hold_slot();
    void drop_slot();
    bool has_room() const { return site_.parts_.in_doubt.has_room(draft_->loans.size()); }
    void drop_stopped();
    void begin_draft();
    Task<> write(Draft* draft);
    // A frame of its own: 112 octets of that of wait(), which lives as long as the connection.
    Task<> something_written() { co_await written_.wait(); }

    Site& site_;
    Connection& connection_;
    std::unique_ptr<Draft> draft_;
    ConnectionTap::InHand under_way_;  // few: a deque would keep 576 octets at rest
    bool holds_slot_ = false;          // of the rate
    uint32_t sent_ = 0;
    bool leaves_ = false;  // for the sake of mail that this connection may not carry
    Signal written_;
    Scope scope_;
};

/// Behind a mail that is under way only what no idle connection is free for: it would go at once
/// over that one.
bool Site::Feed::may_pull() const {
    const size_t left_to_others = under_way_.empty() ? 0 : site_.idle_;
    return !site_.draining_ && !leaves_ && site_.ready_.size() > left_to_others;
}

/// Whether what is sent now must not wait for company.
bool Site::Feed::hurries() const {
    return !under_way_.empty() &&
           under_way_.front().front().terms().queue->klass == storage::Class::transactional;
}

/// Whether this connection ends here, because mail of another demand has none.
bool Site::Feed::gives_way() {
    Way& way = *connection_.way;
    leaves_ |= connection_.one_too_many || site_.pauses(way);
    leaves_ = leaves_ || is_surplus(*way.path);
    if (!leaves_ && sent_ >= mails_before_giving_way)
        leaves_ = site_.budget_->gives_way(site_, way.path->source, SiteBudget::Between::mails) ||
                  way.claims.gives_way(site_, Share::Between::mails);
    return leaves_;
}

/// Whether the path lets a message begin now. Nothing is pulled before: what each connection had in
/// hand while all wait for the rate would go before transactional mail that comes meanwhile.
bool Site::Feed::slot_is_free() const {
    if (holds_slot_) return true;
    Way& way = *connection_.way;
    const Instant now = site_.parts_.reactor.now();
    return way.path->line.empty() && now >= way.path->next_message(way.limits) &&
           way.claims.may_begin(now, site_.ready_.size() + 1);
}

/// True when the path lets a message begin now; it is this connection's then.
bool Site::Feed::hold_slot() {
    Path& path = *connection_.way->path;
    const Instant now = site_.parts_.reactor.now();
    if (now < path.tempo.hold_until()) holds_slot_ = false;  // it was had before a complaint
    if (holds_slot_) return true;
    if (site_.pauses(*connection_.way) || !path.line.empty()) return false;
    if (now < path.next_message(connection_.way->limits)) return false;
    if (!connection_.way->claims.take_message(now, site_.ready_.size() + 1)) return false;
    site_.begin_message(*connection_.way);
    return holds_slot_ = true;
}

/// Nothing is there to be sent in it: others may.
void Site::Feed::drop_slot() {
    if (std::exchange(holds_slot_, false))
        connection_.way->claims.give_back_message(site_.parts_.reactor.now());
}

std::optional<Mail> Site::Feed::take() {
    if (site_.draining_) return std::nullopt;
    drop_stopped();
    prepare();
    if (!draft_ || !draft_->mail || !has_room()) return std::nullopt;
    // It goes alone, and may be stopped until its turn has come.
    if (draft_->mail->lock_step && !under_way_.empty()) return std::nullopt;
    if (!hold_slot()) return std::nullopt;
    holds_slot_ = false;
    site_.parts_.in_doubt.reserve(draft_->loans.size());
    ++sent_;
    const std::unique_ptr<Draft> draft = std::move(draft_);
    if (under_way_.empty()) {
        ++site_.busy_;
        site_.busy_gauge_.add(1);
    }
    site_.sending_ += draft->loans.size();
    under_way_.push_back(std::move(draft->loans));
    site_.fill();  // there may be more work than this
    return std::move(draft->mail);
}

Task<> Site::Feed::made() {
    co_await written_.wait_until(site_.parts_.reactor.now() + made_wait);
}

Task<bool> Site::Feed::wait() {
    const Instant deadline = site_.parts_.reactor.now() + connection_.way->limits.idle;
    for (;;) {
        if (site_.draining_ || (leaves_ && !draft_)) co_return false;
        // What is drafted goes back to its place, for another source.
        if (site_.pauses(*connection_.way)) co_return false;
        if (!draft_ && site_.ready_.empty()) drop_slot();
        if (!draft_ && !co_await site_.work_before(connection_, deadline)) co_return false;
        if (!draft_ && !may_draft()) {
            drop_slot();
            co_await site_.parts_.letters.room();
            continue;
        }
        if (!hold_slot()) {
            const InHand in_hand = draft_ ? InHand::draft : InHand::nothing;
            holds_slot_ = co_await site_.wait_for_message(connection_.way, in_hand);
            continue;
        }
        prepare();
        if (draft_ && draft_->mail) {
            if (has_room()) co_return true;
            co_await sleep_for(site_.parts_.reactor, journal_look);
        } else if (draft_) {
            co_await something_written();
        }  // else somebody else was faster
    }
}

/// A mail that was written and has waited, for the rate or behind another one, may have been
/// stopped meanwhile. Its other recipients go in another one.
void Site::Feed::drop_stopped() {
    if (!draft_ || !draft_->mail) return;
    const WallTime now = site_.parts_.reactor.wall();
    const auto stopped = [&](const Loan& loan) { return site_.stopped(loan, now); };
    if (std::ranges::none_of(draft_->loans, stopped)) return;
    const std::unique_ptr<Draft> draft = std::move(draft_);
    for (size_t i = draft->loans.size(); i-- > 0;)
        if (!stopped(draft->loans[i])) site_.put_back(std::move(draft->loans[i]));
}

void Site::Feed::begin_draft() {
    std::vector<Loan> loans = site_.pull(connection_.session->recipients_max(),
                                         connection_.way->limits.recipients_per_transaction);
    if (loans.empty()) return;
    draft_ = std::make_unique<Draft>(std::move(loans));
    scope_.spawn(write(draft_.get()));
}

Task<> Site::Feed::write(Draft* draft) {
    Mail mail =
        co_await site_.parts_.letters.write(draft->loans, connection_.session->capabilities());
    mail.lock_step =
        std::ranges::any_of(draft->loans, [](const Loan& loan) { return loan.terms().lock_step; });
    draft->mail = std::move(mail);
    written_.notify_all();
}

void Site::Feed::content_leaves(size_t place, const Transaction& transaction) {
    const WallTime now = site_.parts_.reactor.wall();
    std::vector<Loan>& loans = under_way_.at(place);
    for (size_t i = 0; i < loans.size(); ++i) {
        if (!transaction.may_get_it(i)) continue;
        loans[i].in_doubt() = site_.parts_.in_doubt.put(loans[i].terms().delivery, now);
    }
}

void Site::Feed::settle(Outcome outcome) {
    CHECK(!under_way_.empty(), "an outcome came for a mail that was not taken");
    std::vector<Loan> loans = std::move(under_way_.front());
    under_way_.erase(under_way_.begin());
    if (connection_.tap->listens()) connection_.tap->has_carried(loans);
    site_.sending_ -= loans.size();
    site_.parts_.in_doubt.give_back(loans.size());
    if (under_way_.empty()) {
        --site_.busy_;
        site_.busy_gauge_.add(-1);
    }
    site_.settle(std::move(loans), std::move(outcome), connection_);
}

Task<> Site::Feed::finish() {
    CHECK(under_way_.empty(), "a mail was taken and has no outcome");
    co_await scope_.join();
    drop_slot();
    if (!draft_ || site_.draining_) co_return;
    for (size_t i = draft_->loans.size(); i-- > 0;) site_.put_back(std::move(draft_->loans[i]));
    site_.work_.notify_one();
}

Task<> Site::serve(Connection& connection) {
    Path& path = *connection.way->path;
    const Counted open(path.open);
    path.tempo.connected(path.open, parts_.reactor.now());
    Stream* const listed = open_streams_.emplace_back(connection.stream.get());
    {
        Feed feed(*this, connection);
        co_await connection.session->run(&feed);
        co_await feed.finish();
        co_await connection.session->quit();
    }
    std::erase(open_streams_, listed);
    connection.stream->close();
}

/// Waits for a loan. False: none came in time, we stop, the connection's place is needed for mail
/// that it may not carry, or there are more than a lowered limit allows.
Task<bool> Site::work_before(Connection& connection, Instant deadline) {
    if (ready_.empty() && !draining_) {
        const Counted idle(idle_);
        idle_gauge_.add(1);
        Claims& claims = connection.way->claims;
        while (ready_.empty() && !draining_ && parts_.reactor.now() < deadline &&
               !is_surplus(*connection.way->path) && !idle_one_gives_way(connection)) {
            // Each time anew: a reload, which wakes everybody, may have set a limit that was none.
            const Claims::Listed listed = claims.add_idle(*this);
            co_await work_.wait_until(deadline);
            claims.remove_idle(*this, listed);
        }
        idle_gauge_.add(-1);
    }
    co_return !ready_.empty() && !draining_;
}

bool Site::idle_one_gives_way(const Connection& connection) {
    Way& way = *connection.way;
    return budget_->gives_way(*this, way.path->source, SiteBudget::Between::nothing) ||
           way.claims.gives_way(*this, Share::Between::nothing);
}

/// Waits until a message may begin on the path, and takes that moment. Connections wait in line, so
/// only the first one has a timer; it looks again when the rate changes under it. The first one
/// goes on to stand in the lines of the totals. False: we stop, or others have taken all there was
/// (a moment that is kept would let two messages go at once later).
Task<bool> Site::wait_for_message(Way* way, InHand in_hand) {
    Path& path = *way->path;
    Signal turn(parts_.reactor);
    std::optional<MessagePlace> of_total;
    const auto place = path.line.insert(path.line.end(), &turn);
    bool has_it = false;
    while (!draining_ && !has_it && !pauses(*way)) {
        const Instant now = parts_.reactor.now();
        if (place != path.line.begin()) {
            co_await turn.wait();
        } else if (const Instant next = path.next_message(way->limits); now < next) {
            of_total.reset();  // nobody shall wait behind it there
            // Not in one sleep: a rate that was slow a moment ago may be fast now.
            co_await turn.wait_until(std::min(next, now + look_again_at_rate));
        } else if (in_hand == InHand::nothing && ready_.empty()) {
            break;
        } else if (Share* total = way->claims.lacking(now, ready_.size())) {
            if (!of_total || &of_total->share() != total) of_total.emplace(*total, turn);
            if (of_total->take(now, ready_.size())) {
                way->claims.have(*total);
                of_total.reset();
            } else {
                co_await turn.wait_until(std::min(of_total->next(now), now + look_again_at_rate));
            }
        } else {
            way->claims.begin_message();
            begin_message(*way);
            has_it = true;
        }
    }
    of_total.reset();
    if (!has_it) way->claims.give_back(parts_.reactor.now());
    path.line.erase(place);
    if (!path.line.empty()) path.line.front()->notify_all();
    co_return has_it;
}

/// The next loans that share a mail, at most `most` and what the host takes (0: it sets no limit).
std::vector<Loan> Site::pull(size_t host_most, size_t most) {
    if (host_most > 0) most = std::min(most, host_most);
    std::vector<Loan> loans;
    const WallTime now = parts_.reactor.wall();
    while (auto loan = ready_.pop()) {
        if (stopped(*loan, now)) continue;  // goes home, which knows what is to become of it
        loans.push_back(std::move(*loan));
        break;
    }
    if (!loans.empty()) see_tenant(loans.front().terms().queue->tenant);
    if (loans.empty() || !loans.front().terms().job->content()->same_for_all()) return loans;
    while (loans.size() < most) {
        auto next = ready_.pop_same_job(loans.front());
        if (!next) break;
        if (!stopped(*next, now)) loans.push_back(std::move(*next));
    }
    give_back_admissions();  // of those that rode along
    return loans;
}

}  // namespace engine

#include "engine/smtp/window.h"

#include <algorithm>
#include <utility>

#include "engine/smtp/commands.h"
#include "engine/smtp/dialogue.h"
#include "engine/smtp/flight.h"
#include "engine/smtp/sendable.h"
#include "metrics/check.h"

namespace engine {

namespace {

/// Silence after a content was answered, when a command was written behind it: the host has lost
/// what it read ahead (seen at chasquid and Courier).
constexpr std::chrono::milliseconds swallowed_after = std::chrono::seconds(3);
constexpr int swallowed_after_round_trips = 4;

constexpr std::string_view reset_line = "RSET\r\n";

bool took_it(const Outcome& outcome) {
    return std::ranges::any_of(outcome.verdicts, [](const Verdict& verdict) {
        return verdict.kind == Verdict::Kind::delivered;
    });
}

/// Behind a BDAT the command stands alone in front of the first block's octets.
void tell_block(DialogueTap& tap, std::span<const std::string_view> block,
                std::string_view command) {
    const bool has_command =
        !command.empty() && !block.empty() && block.front().data() == command.data();
    if (has_command) tap.we_say(block.front());
    for (const std::string_view chunk : block.subspan(has_command ? 1 : 0)) tap.we_send(chunk);
}

bool mentions_messages(std::string_view text) {
    constexpr std::string_view word = "messages";
    const auto same = [](char a, char b) { return (a | 0x20) == b; };
    return !std::ranges::search(text, word, same).empty();
}

}  // namespace

Window::Window(Dialogue& dialogue, const Capabilities& host, const SmtpTimeouts& timeouts)
    : dialogue_(dialogue),
      host_(host),
      timeouts_(timeouts),
      plan_{.depth = Depth::envelope},
      traits_(std::make_shared<HostTraits>()) {}
Window::~Window() = default;

void Window::begin(std::string_view banner, SessionPlan plan, std::shared_ptr<HostTraits> traits) {
    CHECK(begun_ == 0 && traits, "a window begins once, with the traits of its host");
    counts_resets_ = banner.contains("Exim");
    plan_ = plan;
    traits_ = std::move(traits);
}

void Window::note_round_trip(std::chrono::nanoseconds took) {
    round_trip_ = std::max(round_trip_, took);
}

/// What the operator allows, the host offers and earlier connections have shown.
Depth Window::depth() const {
    if (!host_.pipelining) return Depth::lock_step;
    Depth depth = std::min(plan_.depth, traits_->depth_max);
    using Shown = HostTraits::Shown;
    // A host that loses what it read ahead would answer a later mail in the place of a lost one.
    const bool whole = chunks() && traits_->skips_refused_chunk == Shown::yes &&
                       traits_->reads_behind_content == Shown::yes;
    if (depth == Depth::messages && !whole) depth = Depth::next;
    const bool open = traits_->reads_behind_content == Shown::yes ||
                      (plan_.next == SessionPlan::Open::at_once &&
                       traits_->reads_behind_content == Shown::not_yet);
    if (depth == Depth::next && !open) depth = Depth::envelope;
    return depth;
}

bool Window::chunks() const {
    return host_.chunking && host_.pipelining && !traits_->chunks_fail;
}

/// An RSET behind one content costs nothing where it works, and puts no mail at risk where it does
/// not. It is asked when there is a mail that would gain from the answer.
bool Window::probe_is_due() const {
    return std::min(plan_.depth, traits_->depth_max) >= Depth::next && depth() == Depth::envelope &&
           traits_->reads_behind_content == HostTraits::Shown::not_yet && !spent() &&
           source_->ready();
}

bool Window::spent() const {
    const uint32_t limits[] = {plan_.messages_max, traits_->messages_max, host_.messages_max};
    return refused_in_a_row_ >= refused_in_a_row_max ||
           (counts_resets_ && counted_resets_ >= counted_resets_max) ||
           std::ranges::any_of(limits, [&](uint32_t max) { return max > 0 && begun_ >= max; });
}

Task<> Window::run(MailSource* source) {
    source_ = source;
    const bool ask = plan_.depth == Depth::messages && chunks() && begun_ == 0 &&
                     traits_->skips_refused_chunk == HostTraits::Shown::not_yet;
    if (usable_ && ask) co_await probe_chunk();
    while (usable_) {
        if (flights_.empty()) take();
        if (flights_.empty()) {
            if (spent() || !co_await source_->wait()) break;
            continue;
        }
        if (goes_whole(*flights_.front()))
            co_await whole_messages();
        else
            co_await one_message();
    }
    CHECK(flights_.empty(), "a mail was taken and has no outcome");
    source_ = nullptr;
}

/// The next mail that can be sent; what this host cannot carry gets its outcome in its turn.
Flight* Window::take() {
    while (!spent()) {
        std::optional<Mail> mail = source_->take();
        if (!mail) return nullptr;
        CHECK(!mail->recipients.empty() && mail->content, "a mail without recipients or content");
        std::optional<Reply> refusal = unsendable(*mail, host_);
        flights_.push_back(std::make_unique<Flight>(std::move(*mail)));
        Flight& flight = *flights_.back();
        if (!refusal) return &flight;
        flight.decide({.kind = Verdict::Kind::bounced,
                       .stage = Stage::mail,
                       .reply = std::move(*refusal),
                       .failure = Failure::cannot_carry});
        settle_decided();
    }
    return nullptr;
}

bool Window::goes_whole(const Flight& flight) const {
    // Another connection may have shown meanwhile that the host takes whole messages: one whose
    // envelope is out goes on as it was begun, or its replies are taken for those of whole ones
    // (seed 69803527110728 of tests/sim).
    if (flight.transaction) return flight.depth == Depth::messages;
    return depth() == Depth::messages && !flight.mail.lock_step &&
           flight.mail.recipients.size() + 3 <= commands_max;
}

void Window::open(Flight& flight, Transaction::Pace pace, Place place) {
    using enum Transaction::Pace;
    // Behind a content Dovecot's submission server needs the RSET; Exim counts them. Among whole
    // messages nobody knows yet whether the one before was left open, and Exim would keep the next
    // one under its sender (seen in its -H files).
    const bool reset =
        left_open_ || (place == Place::behind_content && (pace == whole || !counts_resets_));
    const bool by_chunk = pace == whole || (pace == grouped && chunks());
    flight.envelope.emplace(flight.mail, host_,
                            reset ? Envelope::Before::reset : Envelope::Before::nothing,
                            by_chunk ? Envelope::Tail::none : Envelope::Tail::data);
    flight.transaction.emplace(
        flight.mail.recipients.size(), pace,
        begun_ > 0 ? Transaction::Connection::reused : Transaction::Connection::fresh,
        by_chunk ? Transaction::ContentBy::chunk : Transaction::ContentBy::data);
    flight.depth = pace == lock_step                ? Depth::lock_step
                   : pace == whole                  ? Depth::messages
                   : place == Place::behind_content ? Depth::next
                                                    : Depth::envelope;
    flight.begun = dialogue_.clock().now();
    flight.in_flight =
        1 + static_cast<uint32_t>(std::ranges::count_if(flights_, [&](const auto& other) {
            return other.get() != &flight && other->transaction.has_value();
        }));
    ++begun_;
    left_open_ = false;
}

// --- one message at a time, the next one's envelope behind its content where the host takes it

Task<> Window::one_message() {
    Flight* const flight = flights_.front().get();
    if (!flight->transaction) {
        const bool alone = depth() == Depth::lock_step || flight->mail.lock_step;
        open(*flight, alone ? Transaction::Pace::lock_step : Transaction::Pace::grouped,
             Place::alone);
    }
    if (flight->depth > Depth::lock_step && depth() >= Depth::next && !spent()) source_->prepare();
    co_await send_envelope(flight);
    flight->enveloped = dialogue_.clock().now();
    if (flight->transaction->wants(Step::content)) co_await send_content(flight);
    settle_front();
}

/// The envelope in groups: all of it where the host takes PIPELINING, else groups of one. The first
/// group may be out already.
Task<> Window::send_envelope(Flight* flight) {
    Transaction& transaction = *flight->transaction;
    while (flight->answered < flight->envelope->size()) {
        const Step step = flight->envelope->step(flight->answered);
        if (flight->answered == flight->written) {
            if (!transaction.wants(step)) co_return;
            if (dialogue_.out_of_step()) {
                transaction.lost(step, {Errc::protocol, 0, out_of_turn});
                co_return trouble(flight->depth);
            }
            const std::string_view group[] = {flight->next_group(commands_max)};
            co_await dialogue_.write(group, timeouts_.command);
        }
        ++flight->answered;
        if (!take_reply_here(*flight, step)) co_await take_reply(flight, step);
        if (transaction.broken()) co_return;
    }
}

Task<> Window::send_content(Flight* flight) {
    Transaction& transaction = *flight->transaction;
    // One reply too many would be taken for the one to the content: no 354 stands between where a
    // BDAT is used.
    if (dialogue_.out_of_step()) {
        transaction.lost(Step::data, {Errc::protocol, 0, out_of_turn});
        co_return trouble(flight->depth);
    }
    Flight* next = nullptr;
    bool probing = false;
    // 354 although every recipient was refused: a lone dot, and nothing behind it.
    if (transaction.accepted() > 0 && transaction.pace() == Transaction::Pace::grouped) {
        if (depth() >= Depth::next && !spent() && source_->making()) co_await source_->made();
        if (depth() >= Depth::next) {
            next = take();
            if (next && next->mail.lock_step) next = nullptr;
        } else {
            probing = probe_is_due();
        }
    }
    std::string_view behind = probing ? reset_line : std::string_view();
    if (next) {
        open(*next, Transaction::Pace::grouped, Place::behind_content);
        behind = next->next_group(commands_max);
    }
    co_await write_content(flight, behind);
    something_behind_ = !behind.empty();
    co_await take_reply(flight, Step::content);
    something_behind_ = false;
    if (transaction.broken()) {
        if (probing && !goodbye_) traits_->reads_behind_content = HostTraits::Shown::no;
        co_return;
    }
    if (probing) co_await take_probe_reply();
    behind_content_ = next != nullptr;
}

/// In blocks, so that each has its deadline; what goes behind is in the write of the last one.
Task<> Window::write_content(Flight* flight, std::string_view behind) {
    Transaction& transaction = *flight->transaction;
    std::vector<std::string_view> chunks;
    // A lone dot where nobody is there to get it (RFC 2920 3.1).
    const std::string_view content =
        transaction.accepted() > 0 ? std::string_view(*flight->mail.content) : std::string_view();
    ContentBlocks blocks(content, transaction.content_by());
    while (!blocks.done() && !dialogue_.write_failed()) {
        const auto block = blocks.next();
        chunks.assign(block.begin(), block.end());
        if (blocks.done()) content_leaves(*flight);
        if (blocks.done() && !behind.empty()) {
            // A write that fails in what goes behind has sent the content.
            transaction.content_is_out();
            chunks.push_back(behind);
        }
        if (DialogueTap* const tap = dialogue_.listener()) {
            tell_block(*tap, block, blocks.command());
            if (blocks.done() && !behind.empty()) tap->we_say(behind);
        }
        co_await dialogue_.write(chunks, timeouts_.body, Dialogue::Aloud::no);
    }
    if (!dialogue_.write_failed()) transaction.content_is_out();
}

void Window::content_leaves(const Flight& flight) {
    if (flight.transaction->accepted() == 0 && flight.depth != Depth::messages) return;
    const auto at =
        std::ranges::find_if(flights_, [&](const auto& other) { return other.get() == &flight; });
    source_->content_leaves(static_cast<size_t>(at - flights_.begin()), *flight.transaction);
}

Task<> Window::take_probe_reply() {
    using Shown = HostTraits::Shown;
    const Result<Reply> reply = co_await dialogue_.reply(patience(), "RSET");
    if (!reply) usable_ = false;
    if (reply && reply->code == 421) {
        usable_ = false;
        co_return;  // it says nothing about what stood behind the content
    }
    traits_->reads_behind_content = reply && reply->code == 250 ? Shown::yes : Shown::no;
}

// --- whole messages, several at a time

Task<> Window::whole_messages() {
    while (!flights_.empty()) {
        // Replies that are here already are read first: what they settle makes room for more.
        if (!dialogue_.out_of_step()) co_await fill();
        Flight* const front = flights_.front().get();
        if (!front->transaction) co_return;  // it goes alone
        const bool content_is_next = front->answered == front->envelope->size();
        const Step step = content_is_next ? Step::content : front->envelope->step(front->answered);
        if (content_is_next) front->enveloped = dialogue_.clock().now();
        ++front->answered;
        if (!take_reply_here(*front, step)) co_await take_reply(front, step);
        if (content_is_next || !reads_on_) settle_front();
    }
}

Task<> Window::fill() {
    size_t sent = 0;
    size_t commands = 0;
    size_t bytes = 0;
    for (const auto& flight : flights_) {
        if (!flight->transaction) continue;
        ++sent;
        commands += flight->envelope->size() + 1 - flight->answered;
        bytes += flight->mail.content->size();
    }
    while (usable_ && !dialogue_.write_failed() && sent < plan_.window) {
        Flight* flight = first_unsent();
        if (!flight && (bytes >= in_flight_bytes_max || commands >= commands_max)) break;
        if (!flight) flight = take();
        if (!flight || !goes_whole(*flight)) break;
        const size_t cost = flight->mail.recipients.size() + 3;
        if (sent > 0 && commands + cost > commands_max) break;
        open(*flight, Transaction::Pace::whole, begun_ > 0 ? Place::behind_content : Place::alone);
        co_await gather(flight);
        ++sent;
        commands += cost;
        bytes += flight->mail.content->size();
    }
    co_await flush();
}

Task<> Window::gather(Flight* flight) {
    flight->written = flight->envelope->size();
    ContentBlocks& blocks =
        flight->blocks.emplace(*flight->mail.content, Transaction::ContentBy::chunk);
    gathered_.push_back(flight->envelope->bytes(0, flight->written));
    if (DialogueTap* const tap = dialogue_.listener()) tap->we_say(gathered_.back());
    while (!blocks.done()) {
        if (gathered_bytes_ >= gathered_bytes_max) co_await flush();
        const auto block = blocks.next();
        if (DialogueTap* const tap = dialogue_.listener())
            tell_block(*tap, block, blocks.command());
        for (const std::string_view chunk : block) {
            gathered_.push_back(chunk);
            gathered_bytes_ += chunk.size();
        }
    }
    gathered_flights_.push_back(flight);
}

Task<> Window::flush() {
    if (gathered_.empty()) co_return;
    // When this write fails, all but what ends it may have gone out.
    for (size_t i = 0; i + 1 < gathered_flights_.size(); ++i)
        gathered_flights_[i]->transaction->content_is_out();
    if (!dialogue_.write_failed()) {
        for (const Flight* flight : gathered_flights_) content_leaves(*flight);
        co_await dialogue_.write(gathered_, timeouts_.body, Dialogue::Aloud::no);
    }
    if (!dialogue_.write_failed() && !gathered_flights_.empty())
        gathered_flights_.back()->transaction->content_is_out();
    gathered_.clear();
    gathered_flights_.clear();
    gathered_bytes_ = 0;
}

/// Whether the octets of a refused BDAT are dropped, or taken for commands (seen at go-smtp): then
/// text of a mail could forge another one. The octets are a QUIT, whose 221 cannot be mistaken for
/// the reply to RSET.
Task<> Window::probe_chunk() {
    constexpr std::string_view lines[] = {"BDAT 6 LAST\r\nQUIT\r\nRSET\r\n"};
    traits_->skips_refused_chunk = HostTraits::Shown::no;
    co_await dialogue_.write(lines, timeouts_.command);
    const Result<Reply> refusal = co_await dialogue_.reply(timeouts_.command, "BDAT");
    if (!refusal || refusal->code < 500) co_return void(usable_ = false);
    const Result<Reply> reset = co_await dialogue_.reply(timeouts_.command, "RSET");
    if (!reset || reset->code != 250 || dialogue_.out_of_step()) co_return void(usable_ = false);
    traits_->skips_refused_chunk = HostTraits::Shown::yes;
}

// --- replies and what follows from them

std::chrono::milliseconds Window::patience() const {
    const auto slow = std::chrono::duration_cast<std::chrono::milliseconds>(
        swallowed_after_round_trips * round_trip_);
    return std::min(std::max(swallowed_after, slow), timeouts_.command);
}

/// Of the replies that come together all but the first are here: they cost no wait and no task.
bool Window::take_reply_here(Flight& flight, Step step) {
    std::optional<Reply> reply = dialogue_.reply_here();
    if (!reply) return false;
    judge(flight, step, *std::move(reply), std::exchange(behind_content_, false));
    return true;
}

Task<> Window::take_reply(Flight* flight, Step step) {
    auto allowed = step == Step::content ? timeouts_.final
                   : step == Step::data  ? timeouts_.data
                                         : timeouts_.command;
    const bool first_behind = std::exchange(behind_content_, false);
    if (first_behind) allowed = patience();
    if (goodbye_) allowed = std::min(allowed, timeouts_.quit);
    const Result<Reply> result = co_await dialogue_.reply(allowed, name_of(step));
    judge(*flight, step, result, first_behind);
}

void Window::judge(Flight& flight, Step step, const Result<Reply>& result, bool first_behind) {
    Transaction& transaction = *flight.transaction;
    if (result)
        transaction.take(step, *result);
    else if (goodbye_)
        transaction.dismissed(*goodbye_);
    else
        transaction.lost(step, result.error());
    if (transaction.broken()) usable_ = false;
    if (transaction.host_leaves() && result && !goodbye_)
        goodbye_ = std::make_unique<const Reply>(*result);
    if (!result || transaction.lost_its_way()) reads_on_ = false;

    if (goodbye_) return;
    const Depth in_use = something_behind_ ? Depth::next : flight.depth;
    const bool no_reply = !result && result.error().code == Errc::protocol;
    // One that closes between two mails has done nothing wrong; one that does so with something
    // behind a content, or with several mails under way, may have stumbled over it.
    const bool cut_in_depth =
        !result && (something_behind_ || first_behind || flight.depth == Depth::messages);
    // It takes a command behind a content for a fault of ours.
    const bool behind_refused = result && step == Step::reset && transaction.broken() &&
                                flight.depth == Depth::next && !counts_resets_;
    if (transaction.lost_its_way() || no_reply || cut_in_depth || behind_refused) trouble(in_use);
}

void Window::trouble(Depth in_use) {
    usable_ = false;
    traits_->step_down_from(in_use, dialogue_.clock().now());
}

Flight* Window::first_unsent() {
    const auto found = std::ranges::find_if(
        flights_, [](const auto& flight) { return !flight->transaction && !flight->decided; });
    return found == flights_.end() ? nullptr : found->get();
}

void Window::settle_front() {
    Flight& flight = *flights_.front();
    const bool whole = flight.depth == Depth::messages;
    left_open_ = flight.transaction->left_open();
    Outcome outcome = flight.outcome(dialogue_.clock().now());
    learn(flight, outcome);
    const bool others_wait = std::ranges::any_of(
        flights_, [&](const auto& other) { return other.get() != &flight && other->transaction; });
    // What nobody asked for would be taken for the reply to the next command.
    if (dialogue_.write_failed() || (!others_wait && dialogue_.out_of_step())) usable_ = false;
    outcome.connection_usable = usable_;
    flights_.erase(flights_.begin());
    source_->settle(std::move(outcome));
    settle_decided();
    if (!usable_ && !(whole && reads_on_ && others_wait)) abandon();
}

void Window::settle_decided() {
    while (!flights_.empty() && flights_.front()->decided) {
        Outcome outcome = std::move(*flights_.front()->decided);
        outcome.connection_usable = usable_;
        flights_.erase(flights_.begin());
        source_->settle(std::move(outcome));
    }
}

/// Nothing more can be sent or read: what is left goes again, or is in doubt.
void Window::abandon() {
    while (!flights_.empty()) {
        Flight& flight = *flights_.front();
        constexpr char before_its_turn[] = "the connection came to its end before this mail's turn";
        if (!flight.transaction && !flight.decided) {
            flight.decide({.kind = Verdict::Kind::untried,
                           .stage = Stage::mail,
                           .reply = {.text = before_its_turn},
                           .failure = Failure::end_of_connection});
        } else if (flight.transaction && goodbye_) {
            flight.transaction->dismissed(*goodbye_);
        } else if (flight.transaction) {
            flight.transaction->lost(Step::mail, {Errc::closed, 0, before_its_turn});
        }
        Outcome outcome =
            flight.decided ? std::move(*flight.decided) : flight.outcome(dialogue_.clock().now());
        outcome.connection_usable = false;
        flights_.erase(flights_.begin());
        source_->settle(std::move(outcome));
    }
}

void Window::learn(const Flight& flight, const Outcome& outcome) {
    const Transaction& transaction = *flight.transaction;
    HostTraits& traits = *traits_;
    const Instant now = dialogue_.clock().now();
    const bool taken = took_it(outcome);
    taken_ += taken;
    refused_in_a_row_ = taken ? 0 : refused_in_a_row_ + 1;
    // The RSET behind a mail that was taken is free; whole messages have spent it already.
    const bool pays = transaction.pace() == Transaction::Pace::whole || refused_in_a_row_ > 1;
    counted_resets_ += !taken && pays;
    if (transaction.full_at() > 0) traits.recipients_max = transaction.full_at();

    const Verdict& first = outcome.verdicts.front();
    const bool had_enough = first.failure == Failure::end_of_connection &&
                            (first.reply.code == 421 || first.reply.code == 452) &&
                            mentions_messages(first.reply.text);
    if (had_enough && taken_ > 0) traits.messages_max = taken_;

    // The same mail was refused in a group, and now it is not: the host cannot take groups.
    if (flight.mail.lock_step && taken && host_.pipelining)
        traits.step_down_from(Depth::envelope, now);
    const bool chunk = transaction.content_by() == Transaction::ContentBy::chunk;
    const bool unanswered =
        first.in_doubt && !goodbye_ && transaction.pace() != Transaction::Pace::whole;
    const bool not_understood = first.failure == Failure::dialogue && first.stage == Stage::body;
    if (chunk && (unanswered || not_understood)) {
        traits.chunks_fail = true;
        traits.until = now + HostTraits::kept_for;
    }
}

}  // namespace engine

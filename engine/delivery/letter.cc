#include "engine/delivery/letter.h"

#include <algorithm>
#include <utility>

#include "engine/message/dkim_keyring.h"
#include "engine/reactor/worker.h"
#include "engine/smtp/commands.h"
#include "metrics/catalog.h"

namespace engine {

namespace catalog = metrics::catalog;

namespace {

MailForm form_for(const Content& content, const Capabilities& host) {
    if (content.eight_bit() && !host.eight_bit_mime) return MailForm::seven_bit;
    if (content.utf8_header() && !host.smtp_utf8) return MailForm::ascii_header;
    return MailForm::as_is;
}

/// On the shard itself, because it is a matter of microseconds.
bool is_made_here(const Content& content, const DkimKeys& keys, MailForm form) {
    return keys.empty() && form == MailForm::as_is &&
           content.rendered_bytes_hint() <= Letters::rendered_here_max;
}

}  // namespace

/// All that making a letter needs, so that another thread can do it.
struct Letters::Order {
    storage::JobId job{};
    std::shared_ptr<const Content> content;
    storage::DeliveryId id;
    std::string to, vars, tenant;
    std::shared_ptr<const DkimKeys> keys;
    std::chrono::sys_seconds now;
    MailForm form{};
};

Letters::Letters(LetterParts parts)
    : parts_(parts),
      kept_changed_(parts.reactor),
      room_(parts.reactor),
      backlog_(parts.metrics.gauge(catalog::signers_backlog)),
      signed_(parts.metrics.counter(catalog::dkim_signed)),
      converted_(parts.metrics.counter(catalog::letters_converted)) {}

Letters::~Letters() = default;

Task<Mail> Letters::write(std::span<const Loan> loans, Capabilities host) {
    const LoanTerms& first = loans.front().terms();
    const storage::Job& job = first.job->job();
    const std::shared_ptr<const Content>& content = first.job->content();
    Mail mail;
    mail.sender = job.sender;
    mail.envid = job.envid;
    mail.ret = job.ret;
    mail.require_tls = job.tls == storage::TlsRequest::required;
    mail.utf8_addresses = has_eight_bit(mail.sender);
    mail.recipients.reserve(loans.size());
    for (const Loan& loan : loans) {
        const storage::Delivery& delivery = loan.terms().delivery;
        mail.recipients.push_back({delivery.recipient, delivery.notify, delivery.orcpt});
        mail.utf8_addresses |= has_eight_bit(delivery.recipient);
    }
    const MailForm form = form_for(*content, host);
    std::shared_ptr<const DkimKeys> keys = parts_.keyring.get();
    Written written;
    if (!content->same_for_all() && is_made_here(*content, *keys, form)) {
        written = {std::make_shared<const std::string>(content->render(
                       {first.delivery.id, first.delivery.recipient, first.delivery.vars})),
                   content->eight_bit(), content->utf8_header()};
    } else {
        Order order{.job = job.id,
                    .content = content,
                    .id = first.delivery.id,
                    .to = first.delivery.recipient,
                    .vars = first.delivery.vars,
                    .tenant = job.tenant,
                    .keys = std::move(keys),
                    .now = std::chrono::floor<std::chrono::seconds>(parts_.reactor.wall()),
                    .form = form};
        if (content->same_for_all())
            written = co_await write_kept(std::move(order));
        else
            written = co_await write_one(std::move(order));
    }
    mail.content = std::move(written.bytes);
    mail.eight_bit = written.eight_bit;
    mail.utf8_headers = written.utf8_header;
    co_return mail;
}

bool Letters::crowded() const {
    return parts_.signers.saturated() && !parts_.keyring.get()->empty();
}

Task<> Letters::room() {
    co_await room_.wait_until(parts_.reactor.now() + crowd_wait);
}

/// Here when that is a matter of microseconds, else on a signer.
Task<Letters::Written> Letters::write_one(Order order) {
    const auto make = [&order] {
        return compose(*order.content, {.id = order.id, .to = order.to, .vars = order.vars},
                       order.form, *order.keys, order.tenant, order.now);
    };
    Composed mail;
    if (is_made_here(*order.content, *order.keys, order.form)) {
        mail = make();
    } else {
        backlog_.add(1);
        if (order.content->rendered_bytes_hint() <= brief_max)
            co_await parts_.signers.run_briefly([&] { mail = make(); });
        else
            co_await parts_.signers.run([&] { mail = make(); });
        backlog_.add(-1);
        if (room_.waiters() > 0 && !parts_.signers.saturated()) room_.notify_one();
    }
    if (mail.is_signed) signed_.add();
    if (mail.converted) converted_.add();
    co_return Written{std::make_shared<const std::string>(std::move(mail.bytes)), mail.eight_bit,
                      mail.utf8_header};
}

/// One of the connections that want the same mail writes it, the others wait for it.
Task<Letters::Written> Letters::write_kept(Order order) {
    Kept* kept = find(order);
    while (kept != nullptr && !kept->ready) {
        co_await kept_changed_.wait();
        kept = find(order);  // it may have made room for others meanwhile
    }
    if (kept != nullptr) co_return kept->written;
    const auto mine = kept_.insert(kept_.begin(), {order.job, order.form, order.keys, {}, false});
    mine->written = co_await write_one(std::move(order));
    mine->ready = true;
    const Written written = mine->written;
    kept_changed_.notify_all();
    trim();
    co_return written;
}

Letters::Kept* Letters::find(const Order& order) {
    const auto at = std::ranges::find_if(kept_, [&](const Kept& kept) {
        return kept.job == order.job && kept.form == order.form && kept.keys == order.keys;
    });
    if (at == kept_.end()) return nullptr;
    kept_.splice(kept_.begin(), kept_, at);
    return &*at;
}

/// Lets go of what was used longest ago. What is being written stays: there are no more of these
/// than connections.
void Letters::trim() {
    size_t bytes = 0, count = 0;
    for (auto at = kept_.begin(); at != kept_.end();) {
        if (at->ready) bytes += at->written.bytes->size();
        const bool room = ++count <= kept_max && (bytes <= kept_bytes_max || count == 1);
        at = room || !at->ready ? std::next(at) : kept_.erase(at);
    }
}

}  // namespace engine

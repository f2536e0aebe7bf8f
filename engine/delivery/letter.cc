#include "engine/delivery/letter.h"

#include <utility>

#include "engine/smtp/commands.h"

namespace engine {

Task<Mail> LetterWriter::write(std::span<const Loan> loans, Capabilities) {
    const LoanTerms& first = loans.front().terms();
    const storage::Job& job = first.job->job();
    const Content& content = *first.job->content();
    Mail mail;
    mail.sender = job.sender;
    mail.envid = job.envid;
    mail.ret = job.ret;
    mail.require_tls = job.tls == storage::TlsRequest::required;
    mail.eight_bit = content.eight_bit();
    mail.utf8_addresses = has_eight_bit(mail.sender);
    mail.recipients.reserve(loans.size());
    for (const Loan& loan : loans) {
        const storage::Delivery& delivery = loan.terms().delivery;
        mail.recipients.push_back({delivery.recipient, delivery.notify, delivery.orcpt});
        mail.utf8_addresses |= has_eight_bit(delivery.recipient);
    }
    const bool kept = content.same_for_all() && rendered_ && rendered_job_ == job.id;
    if (!kept) {
        rendered_ =
            std::make_shared<const std::string>(content.render({.id = first.delivery.id,
                                                                .to = first.delivery.recipient,
                                                                .vars = first.delivery.vars}));
        rendered_job_ = job.id;
    }
    mail.content = content.same_for_all() ? rendered_ : std::exchange(rendered_, nullptr);
    co_return mail;
}

}  // namespace engine

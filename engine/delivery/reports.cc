#include "engine/delivery/reports.h"

#include <fmt/format.h>

#include <map>

#include "engine/delivery/shard_intake.h"
#include "engine/message/address.h"
#include "engine/message/report.h"
#include "metrics/log.h"
#include "storage/ids.h"

namespace engine {

namespace {

using storage::Event;

StatusReport::Action action_of(Report report) {
    switch (report) {
        case Report::delayed:
            return StatusReport::Action::delayed;
        case Report::relayed:
            return StatusReport::Action::relayed;
        case Report::none:
        case Report::failed:
            break;
    }
    return StatusReport::Action::failed;
}

std::string line_of(const Reply& reply) {
    std::string line = std::to_string(reply.code);
    if (!reply.enhanced.empty()) line.append(" ").append(reply.enhanced);
    return line.append(" ").append(reply.text);
}

/// RFC 3463 wants a status of the class that the action has.
std::string status_of(const Decision& decision) {
    if (decision.event.type == Event::Type::expired) return "4.4.7";
    const char digit = decision.report == Report::failed    ? '5'
                       : decision.report == Report::delayed ? '4'
                                                            : '2';
    if (decision.event.enhanced.starts_with(digit)) return decision.event.enhanced;
    return std::string{digit, '.', '0', '.', '0'};
}

StatusReport::Recipient told_of(const Decision& decision) {
    const storage::Delivery& delivery = decision.terms.delivery;
    const Event& event = decision.event;
    StatusReport::Recipient one{.address = delivery.recipient,
                                .original = delivery.orcpt,
                                .status = status_of(decision),
                                .host = event.mx};
    const bool attempted = !event.stage.empty();
    if (attempted && event.code != 0 && !decision.own_words)
        one.reply = line_of({event.code, event.enhanced, event.reply});
    else if (!attempted && decision.terms.last && decision.terms.last->reply.code != 0)
        one.reply = line_of(decision.terms.last->reply);
    else
        one.words = event.reply;
    if (attempted) one.last_attempt = event.time;
    if (decision.report == Report::delayed) one.retried_until = delivery.expires;
    return one;
}

}  // namespace

Reports::Reports(ShardIntake& intake, const SettingsInForce& settings)
    : intake_(intake), settings_(settings) {}

void Reports::add(std::span<const Decision> decisions, storage::Batch& batch,
                  std::vector<Spool::Origin>& origins) {
    std::map<std::pair<storage::JobId, Report>, Group> groups;
    for (const Decision& decision : decisions) {
        if (decision.report == Report::none) continue;
        Group& group = groups[{decision.terms.delivery.id.job, decision.report}];
        group.push_back(&decision);
        if (group.size() < recipients_max) continue;
        add_group(group, batch, origins);
        group.clear();
    }
    for (const auto& [key, group] : groups)
        if (!group.empty()) add_group(group, batch, origins);
}

void Reports::add_group(const Group& group, storage::Batch& batch,
                        std::vector<Spool::Origin>& origins) {
    const Decision& first = *group.front();
    const storage::Delivery& delivery = first.terms.delivery;
    const storage::Job& about = first.terms.job->job();
    auto sender = parse_address(about.sender);
    StatusReport report{.action = action_of(first.report),
                        .reporting_host = settings_->node_name,
                        .to = about.sender,
                        .envid = about.envid,
                        .id = intake_.new_job_id(),
                        .arrival = delivery.accepted,
                        .now = intake_.now()};
    for (const Decision* one : group) report.recipients.push_back(told_of(*one));
    std::string original;
    if (const auto& content = first.terms.job->content())
        original =
            content->render({.id = delivery.id, .to = delivery.recipient, .vars = delivery.vars});
    report.original = original;
    // RFC 3461 4.3: the whole mail goes back with failures only.
    if (about.ret == storage::DsnReturn::full && first.report == Report::failed &&
        original.size() <= settings_->report_content_max)
        report.give_back = StatusReport::Return::full;

    auto content =
        Content::from_raw(write_report(report), Templating::off,
                          {.host = settings_->node_name, .job = report.id, .time = report.now});
    if (!sender || !content) {
        metrics::log::error("report.not_made",
                            {{"about", storage::to_text(delivery.id)},
                             {"why", sender ? content.error().front().message : sender.error()}});
        return;
    }
    JobPart part{.job = std::make_shared<OpenJob>(), .recipients = {}, .last = true};
    part.job->job = {.id = report.id,
                     .tenant = about.tenant,
                     .pool = about.pool,
                     .klass = storage::Class::transactional,
                     .created = report.now};
    part.job->content = std::make_shared<const Content>(std::move(*content));
    part.recipients.push_back(
        {.address = about.sender,
         .routing_domain = std::move(sender->routing_domain),
         .vars = part.job->content->encode_vars({}),
         .meta = fmt::format(R"({{"report":"{}","about":"{}"}})", to_string(report.action),
                             storage::to_text(delivery.id))});
    intake_.add_own(std::move(part), batch, origins);
}

}  // namespace engine

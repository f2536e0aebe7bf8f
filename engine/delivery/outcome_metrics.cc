#include "engine/delivery/outcome_metrics.h"

#include <algorithm>
#include <array>
#include <string>

#include "metrics/catalog.h"

namespace engine {

namespace catalog = metrics::catalog;
using storage::Event;

namespace {
std::string_view outcome_name(Event::Type type) {
    switch (type) {
        case Event::Type::delivered:
            return "delivered";
        case Event::Type::deferred:
            return "deferred";
        case Event::Type::bounced:
            return "bounced";
        case Event::Type::expired:
            return "expired";
        case Event::Type::cancelled:
            return "cancelled";
        case Event::Type::suppressed:
            return "suppressed";
        default:
            return "other";
    }
}

std::string_view report_name(Report report) {
    switch (report) {
        case Report::delayed:
            return "delayed";
        case Report::relayed:
            return "relayed";
        default:
            return "failed";
    }
}

// Codes that standards and the large receivers use. A receiver can invent 300 codes more, and each
// would be a series for every stage and provider.
constexpr std::array<uint16_t, 34> known_codes{
    220, 221, 235, 250, 251, 252, 334, 354, 421, 422, 431, 432, 441, 442, 450, 451, 452,
    454, 455, 471, 500, 501, 502, 503, 504, 521, 523, 530, 535, 550, 551, 552, 553, 554};
static_assert(std::ranges::is_sorted(known_codes));

std::string code_label(uint32_t code) {
    if (std::ranges::binary_search(known_codes, code)) return std::to_string(code);
    switch (code / 100) {
        case 2:
            return "2xx";
        case 3:
            return "3xx";
        case 4:
            return "4xx";
        case 5:
            return "5xx";
        default:
            return "other";
    }
}
}  // namespace

OutcomeMetrics::OutcomeMetrics(metrics::Registry& registry)
    : registry_(registry),
      duration_{&registry.histogram(catalog::delivery_duration, {"transactional"}),
                &registry.histogram(catalog::delivery_duration, {"bulk"})} {}

void OutcomeMetrics::count_delivered(const Event& event, std::string_view provider) {
    const bool like_the_last = last_.attempts != nullptr && last_.code == event.code &&
                               last_.provider == provider && last_.stage == event.stage;
    if (!like_the_last) {
        const std::string_view outcome = outcome_name(event.type);
        const bool replied = event.code != 0 && event.stage != "dns";
        last_ = {.provider = std::string(provider), .stage = event.stage, .code = event.code};
        last_.attempts = &registry_.counter(catalog::delivery_attempts, {provider, outcome});
        last_.completed = &registry_.counter(catalog::messages_completed, {provider, outcome});
        if (replied)
            last_.replies = &registry_.counter(catalog::smtp_replies,
                                               {provider, event.stage, code_label(event.code)});
    }
    last_.attempts->add();
    last_.completed->add();
    if (last_.replies != nullptr) last_.replies->add();
}

void OutcomeMetrics::count(const Decision& decision, WallTime now) {
    const Event& event = decision.event;
    const LoanTerms& terms = decision.terms;
    if (decision.report != Report::none)
        registry_.counter(catalog::reports, {report_name(decision.report)}).add();
    const std::string_view provider =
        event.provider.empty() ? "default" : std::string_view(event.provider);
    if (decision.doubt != DoubtCause::none) {
        registry_
            .counter(catalog::in_doubt,
                     {provider, to_string(decision.doubt), to_string(decision.way_out)})
            .add();
    }
    if (event.type == Event::Type::delivered) {
        count_delivered(event, provider);
        duration_[terms.queue->klass == storage::Class::bulk]->observe(
            std::chrono::duration<double>(now - terms.delivery.accepted).count());
        return;
    }
    const std::string_view outcome = outcome_name(event.type);
    const bool attempted =
        event.type == Event::Type::deferred || event.type == Event::Type::bounced;
    if (attempted) registry_.counter(catalog::delivery_attempts, {provider, outcome}).add();
    if (storage::is_terminal(event.type))
        registry_.counter(catalog::messages_completed, {provider, outcome}).add();
    if (event.type == Event::Type::bounced || event.type == Event::Type::expired)
        registry_.counter(catalog::bounces, {provider, event.bounce_class}).add();
    if (event.code != 0 && event.stage != "dns") {
        registry_.counter(catalog::smtp_replies, {provider, event.stage, code_label(event.code)})
            .add();
    }
}

}  // namespace engine

#include "engine/delivery/outcome_metrics.h"

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
}  // namespace

OutcomeMetrics::OutcomeMetrics(metrics::Registry& registry)
    : registry_(registry),
      duration_{&registry.histogram(catalog::delivery_duration, {"transactional"}),
                &registry.histogram(catalog::delivery_duration, {"bulk"})} {}

void OutcomeMetrics::count(const Decision& decision, WallTime now) {
    const Event& event = decision.event;
    const LoanTerms& terms = decision.terms;
    if (decision.report != Report::none)
        registry_.counter(catalog::reports, {report_name(decision.report)}).add();
    const std::string_view provider =
        event.provider.empty() ? "default" : std::string_view(event.provider);
    const std::string_view outcome = outcome_name(event.type);
    const bool attempted = event.type == Event::Type::delivered ||
                           event.type == Event::Type::deferred ||
                           event.type == Event::Type::bounced;
    if (attempted) registry_.counter(catalog::delivery_attempts, {provider, outcome}).add();
    if (storage::is_terminal(event.type))
        registry_.counter(catalog::messages_completed, {provider, outcome}).add();
    if (event.type == Event::Type::bounced || event.type == Event::Type::expired)
        registry_.counter(catalog::bounces, {provider, event.bounce_class}).add();
    if (event.code != 0 && event.stage != "dns") {
        registry_
            .counter(catalog::smtp_replies, {provider, event.stage, std::to_string(event.code)})
            .add();
    }
    if (event.type == Event::Type::delivered)
        duration_[terms.queue->klass == storage::Class::bulk]->observe(
            std::chrono::duration<double>(now - terms.delivery.accepted).count());
}

}  // namespace engine

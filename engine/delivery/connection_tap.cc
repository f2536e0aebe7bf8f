#include "engine/delivery/connection_tap.h"

#include <fmt/format.h>

#include <algorithm>

namespace engine {

ConnectionTap::ConnectionTap(TraceDesk& desk, Describe describe, const ReadyQueue& waiting)
    : desk_(desk), describe_(std::move(describe)), waiting_(waiting) {}

void ConnectionTap::has_carried(const std::vector<Loan>& loans) {
    if (!loans.empty()) last_ = loans.front().terms().queue;
}

/// Of the mails under way any one counts: with pipelining their lines stand in between each other.
bool ConnectionTap::is_of(const TraceFilter& filter) const {
    if (in_hand_ && !in_hand_->empty()) {
        return std::ranges::any_of(*in_hand_, [&](const std::vector<Loan>& loans) {
            return std::ranges::any_of(
                loans, [&](const Loan& loan) { return filter.lets_through(*loan.terms().queue); });
        });
    }
    if (last_) return filter.lets_through(*last_);
    return waiting_.has(
        [&](const storage::QueueInfo& queue) { return filter.lets_through(queue); });
}

void ConnectionTap::keep(TraceLine::Who who, std::string_view text) {
    if (!connection_) connection_ = std::make_shared<const TracedConnection>(describe_());
    desk_.keep(connection_, who, text, [this](const TraceFilter& filter) { return is_of(filter); });
}

void ConnectionTap::each_line(TraceLine::Who who, std::string_view lines) {
    while (!lines.empty()) {
        const size_t end = std::min(lines.find('\n'), lines.size());
        std::string_view line = lines.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        keep(who, line);
        lines.remove_prefix(std::min(end + 1, lines.size()));
    }
}

void ConnectionTap::we_say(std::string_view lines) {
    end_content();
    each_line(TraceLine::Who::we, lines);
}

void ConnectionTap::we_send(std::string_view content) {
    if (!content_) content_ = std::make_unique<Content>();
    content_->octets += content.size();
    std::string& shown = content_->shown;
    if (desk_.wants_content())
        shown += content.substr(0, content_shown_max - std::min(shown.size(), content_shown_max));
}

void ConnectionTap::end_content() {
    if (!content_ || content_->octets == 0) return;
    const std::unique_ptr<const Content> sent = std::exchange(content_, nullptr);
    each_line(TraceLine::Who::content, sent->shown);
    keep(TraceLine::Who::note, fmt::format("{} octets of content were sent", sent->octets));
}

void ConnectionTap::host_says(const Reply& reply) {
    end_content();
    const std::string_view text = reply.text;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        std::string line = fmt::format("{}{}", reply.code, end < text.size() ? '-' : ' ');
        if (!reply.enhanced.empty()) line.append(reply.enhanced).append(" ");
        keep(TraceLine::Who::host, line.append(text.substr(at, end - at)));
        at = end + 1;
    }
}

void ConnectionTap::note(std::string_view what) {
    end_content();
    keep(TraceLine::Who::note, what);
}

}  // namespace engine

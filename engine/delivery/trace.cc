#include "engine/delivery/trace.h"

#include <algorithm>
#include <utility>

namespace engine {

bool TraceFilter::lets_through(const TracedConnection& connection) const {
    const auto is_host = [&] {
        if (host.empty() || connection.mx == host || connection.ip == host) return true;
        return connection.mx.size() > host.size() && connection.mx.ends_with(host) &&
               connection.mx[connection.mx.size() - host.size() - 1] == '.';
    };
    return (site.empty() || site == connection.site) &&
           (provider.empty() || provider == connection.provider) &&
           (source.empty() || source == connection.source) && is_host();
}

bool TraceFilter::lets_through(const storage::QueueInfo& queue) const {
    return (domain.empty() || domain == queue.domain) && (tenant.empty() || tenant == queue.tenant);
}

std::string_view to_string(TraceLine::Who who) {
    switch (who) {
        case TraceLine::Who::we:
            return "we";
        case TraceLine::Who::host:
            return "host";
        case TraceLine::Who::content:
            return "content";
        case TraceLine::Who::note:
            return "note";
    }
    return "";
}

TraceRead TraceDesk::read(uint64_t number, const std::shared_ptr<const TraceFilter>& filter) {
    forget();
    if (!filter) {
        std::erase_if(viewers_, [&](const Viewer& viewer) { return viewer.number == number; });
        return {};
    }
    auto viewer = std::ranges::find(viewers_, number, &Viewer::number);
    if (viewer == viewers_.end()) {
        if (viewers_.size() >= viewers_max) return {};
        viewers_.push_back({.number = number, .filter = filter});
        viewer = std::prev(viewers_.end());
    }
    viewer->read_at = clock_.now();
    viewer->bytes = 0;
    return {.seated = true,
            .left_out = std::exchange(viewer->left_out, 0),
            .lines = std::exchange(viewer->lines, {})};
}

std::string TraceDesk::next_connection() {
    return std::to_string(shard_) + "-" + std::to_string(++connections_);
}

bool TraceDesk::wants_content() const {
    return std::ranges::any_of(viewers_,
                               [](const Viewer& viewer) { return viewer.filter->content; });
}

void TraceDesk::forget() {
    const Instant now = clock_.now();
    std::erase_if(viewers_,
                  [&](const Viewer& viewer) { return now - viewer.read_at > forgotten_after; });
}

void TraceDesk::add(Viewer& viewer, TraceLine line) {
    if (viewer.lines.size() >= lines_max || viewer.bytes + line.text.size() > bytes_max) {
        ++viewer.left_out;
        return;
    }
    viewer.bytes += line.text.size();
    viewer.lines.push_back(std::move(line));
}

}  // namespace engine

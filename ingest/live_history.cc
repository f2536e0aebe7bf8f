#include "ingest/live_history.h"

#include <algorithm>

#include "ingest/json_out.h"

namespace ingest {

void LiveHistory::add(storage::WallTime time, const storage::JobCounts& totals) {
    // The clock was set back: what stood before it would stand in the future.
    while (count_ > 0 && point(count_ - 1).time >= time) --count_;
    points_[(first_ + count_) % points_.size()] = {time, totals.accepted, totals.delivered,
                                                   totals.deferrals, totals.bounced};
    if (count_ < points_.size())
        ++count_;
    else
        first_ = (first_ + 1) % points_.size();
}

std::string LiveHistory::json() const {
    std::string out;
    JsonObject object(out);
    const auto list = [&](std::string_view name, auto value) {
        object.key(name);
        out += '[';
        for (size_t i = 1; i < count_; ++i) {
            if (i > 1) out += ',';
            out += std::to_string(value(point(i - 1), point(i)));
        }
        out += ']';
    };
    list("times", [](const Point&, const Point& now) {
        return std::chrono::round<std::chrono::seconds>(now.time.time_since_epoch()).count();
    });
    const auto rate_of = [](uint64_t Point::* count) {
        return [count](const Point& before, const Point& now) {
            const double seconds = std::chrono::duration<double>(now.time - before.time).count();
            const uint64_t came = std::max(now.*count, before.*count) - before.*count;
            return static_cast<int64_t>(static_cast<double>(came) / seconds + 0.5);
        };
    };
    list("accepted", rate_of(&Point::accepted));
    list("delivered", rate_of(&Point::delivered));
    list("deferred", rate_of(&Point::deferred));
    list("bounced", rate_of(&Point::bounced));
    object.close();
    return out;
}

}  // namespace ingest

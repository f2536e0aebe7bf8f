// ConnectionTap: listens on one connection for the desk, and knows whose mail it carries.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/delivery/ready_queue.h"
#include "engine/delivery/trace.h"
#include "engine/smtp/dialogue_tap.h"

namespace engine {

class ConnectionTap final : public DialogueTap {
  public:
    static constexpr size_t content_shown_max = 64 << 10;  // octets of a mail

    /// `describe` says which connection it is, as soon as a line of it is kept: hardly ever, and a
    /// description has 300 octets. `waiting`: what the connection is opened for.
    using Describe = std::move_only_function<TracedConnection()>;
    ConnectionTap(TraceDesk& desk, Describe describe, const ReadyQueue& waiting);

    using InHand = std::vector<std::vector<Loan>>;  // the oldest in front
    /// From now on it carries these; null: it carries nothing any more.
    void carries(const InHand* in_hand) { in_hand_ = in_hand; }
    /// What follows, until the next mail, is still about these: RSET, QUIT.
    void has_carried(const std::vector<Loan>& loans);

    bool listens() const override { return desk_.watched(); }
    void we_say(std::string_view lines) override;
    void we_send(std::string_view content) override;
    void host_says(const Reply& reply) override;
    void note(std::string_view what) override;

  private:
    bool is_of(const TraceFilter& filter) const;
    void keep(TraceLine::Who who, std::string_view text);
    void each_line(TraceLine::Who who, std::string_view lines);
    void end_content();

    TraceDesk& desk_;
    Describe describe_;
    std::shared_ptr<const TracedConnection> connection_;  // null: nothing was kept of it yet
    const ReadyQueue& waiting_;
    const InHand* in_hand_ = nullptr;
    std::shared_ptr<const storage::QueueInfo> last_;  // of the mail before
    struct Content {
        uint64_t octets = 0;
        std::string shown;  // of it, if somebody wants to see it
    };
    std::unique_ptr<Content> content_;  // null: none was sent since the last line
};

}  // namespace engine

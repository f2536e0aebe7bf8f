#include <fmt/format.h>

#include <deque>
#include <memory>

#include "bench/load/client.h"
#include "bench/load/run.h"

namespace load {
namespace {

constexpr std::chrono::milliseconds turn_max{50};
constexpr std::chrono::milliseconds pause{200};  // of a session that was asked to come again
constexpr size_t reply_octets_max = 64 * 1024;
constexpr unsigned connections_lost_max = 1000;

class SmtpRun {
  public:
    SmtpRun(const RunOptions& options, const Corpus& corpus, Progress& progress)
        : options_(options), corpus_(corpus), progress_(progress) {
        report_ = {.mode = "smtp", .wanted = options.recipients};
    }

    Report run() {
        sessions_.resize(std::min<uint64_t>(options_.clients, options_.recipients));
        Stall stall(options_.patience);
        while (report_.accepted + report_.rejected < options_.recipients && report_.error.empty()) {
            for (Session& session : sessions_) keep_open(session);
            poller_.turn(turn_max);
            progress_.show(report_);
            if (stall.over(report_)) report_.error = "no answer within the patience";
        }
        for (Session& session : sessions_) {
            if (session.client && !session.client->lost) session.client->send("QUIT\r\n");
        }
        if (report_.error.empty()) report_.error = first_refusal_;
        report_.ended = Clock::now();
        progress_.finish(report_);
        return std::move(report_);
    }

  private:
    enum class Stage : uint8_t { greeting, hello, reset, mail, rcpt, data, final };
    struct Expected {
        Stage stage;
        uint64_t number = 0;  // of the recipient
    };
    struct Session {
        std::unique_ptr<Client> client;
        std::deque<Expected> expected;          // replies, in order
        std::deque<Clock::time_point> sent_at;  // of the messages that wait for their final reply
        unsigned in_flight = 0;
        unsigned refused_code = 0;  // of the transaction's MAIL or RCPT; 0: good so far
        bool offers_chunking = false;
        bool needs_reset = false;  // a transaction is open that came to nothing
        bool ready = false;        // EHLO is answered
        Clock::time_point not_before;
    };

    void keep_open(Session& session) {
        if (Clock::now() < session.not_before) return;
        if (!session.client || session.client->lost) {
            session.expected.assign(1, {Stage::greeting});
            session.sent_at.clear();
            session.in_flight = session.refused_code = 0;
            session.ready = session.needs_reset = false;
            session.client = std::make_unique<Client>(
                poller_, options_.server, [this, &session](Client&) { on_input(session); });
        } else if (session.ready) {
            send_more(session);
        }
    }

    bool next_number(uint64_t& number) {
        if (!again_.empty()) {
            number = again_.front();
            again_.pop_front();
            return true;
        }
        number = next_;
        return next_ < options_.recipients && next_++ < options_.recipients;
    }

    /// Envelopes (with BDAT also their messages) up to the window; behind an open DATA nothing may
    /// be sent.
    void send_more(Session& session) {
        unsigned window = options_.chunking ? options_.window : 1;
        std::string out;
        for (uint64_t number = 0; session.in_flight < window && next_number(number);
             ++session.in_flight) {
            // A refused recipient leaves the transaction open (RFC 5321 section 4.1.4). With a
            // window of several it is not known yet whether that happened.
            if (session.needs_reset || window > 1) {
                out += "RSET\r\n";
                session.expected.push_back({Stage::reset});
                session.needs_reset = false;
            }
            fmt::format_to(std::back_inserter(out), "MAIL FROM:<{}>\r\nRCPT TO:<", corpus_.from());
            corpus_.append_address(out, number);
            out += ">\r\n";
            session.expected.push_back({Stage::mail, number});
            session.expected.push_back({Stage::rcpt, number});
            if (options_.chunking) {
                fmt::format_to(std::back_inserter(out), "BDAT {} LAST\r\n",
                               corpus_.message().size());
                out += corpus_.message();
                session.expected.push_back({Stage::final, number});
                session.sent_at.push_back(Clock::now());
            } else {
                out += "DATA\r\n";
                session.expected.push_back({Stage::data, number});
            }
        }
        if (!out.empty()) session.client->send(out);
    }

    void on_input(Session& session) {
        std::string& input = session.client->input;
        size_t start = 0;
        for (size_t end; (end = input.find("\r\n", start)) != std::string::npos; start = end + 2) {
            if (end - start < 3) return fail("a reply shorter than its code");
            bool last = end - start == 3 || input[start + 3] != '-';
            unsigned code = unsigned(std::atoi(input.substr(start, 3).c_str()));
            if (!session.ready && std::string_view(input).substr(start + 4, 8) == "CHUNKING")
                session.offers_chunking = true;
            if (last) on_reply(session, code, std::string_view(input).substr(start, end - start));
            if (!report_.error.empty()) return;
        }
        input.erase(0, start);
        if (input.size() > reply_octets_max) return fail("a reply that does not end");
        if (session.client->lost) return on_lost(session);
        if (session.ready && Clock::now() >= session.not_before) send_more(session);
    }

    void on_reply(Session& session, unsigned code, std::string_view text) {
        // A last word before the server closes has no command: on_lost() takes care of what was in
        // flight.
        if (session.expected.empty() || code == 421) return;
        Expected expected = session.expected.front();
        session.expected.pop_front();
        switch (expected.stage) {
            case Stage::greeting:
                if (code != 220) return fail(fmt::format("the banner is {}", text));
                session.client->send("EHLO load.test\r\n");
                session.expected.push_back({Stage::hello});
                return;
            case Stage::hello:
                if (code != 250) return fail(fmt::format("EHLO is answered with {}", text));
                if (options_.chunking && !session.offers_chunking)
                    return fail("the server does not offer CHUNKING; run without --bdat");
                session.ready = true;
                return;
            case Stage::reset:
                return;
            case Stage::mail:
                session.refused_code = code == 250 ? 0 : code;
                note_refusal(session.refused_code, text);
                return;
            case Stage::rcpt:
                if (session.refused_code == 0 && code != 250 && code != 251)
                    session.refused_code = code;
                note_refusal(session.refused_code, text);
                return;
            case Stage::data:
                if (code == 354) return send_message(session, expected.number);
                return on_outcome(session, expected.number, code, text);
            case Stage::final:
                report_.latency.record(Clock::now() - session.sent_at.front());
                session.sent_at.pop_front();
                return on_outcome(session, expected.number, code, text);
        }
    }

    void send_message(Session& session, uint64_t number) {
        // 354 although the recipient was refused: an empty message ends it (RFC 2920 section 3.1).
        session.client->send(session.refused_code == 0 ? corpus_.message() + ".\r\n" : ".\r\n");
        session.expected.push_back({Stage::final, number});
        session.sent_at.push_back(Clock::now());
        --session.in_flight;  // the next envelope may go right behind the dot
        send_more(session);
        ++session.in_flight;
    }

    void on_outcome(Session& session, uint64_t number, unsigned code, std::string_view text) {
        --session.in_flight;
        // The next envelope's MAIL is answered after this: what was noted belongs to this
        // transaction.
        unsigned decisive = session.refused_code != 0 ? session.refused_code : code;
        session.needs_reset = session.refused_code != 0;
        session.refused_code = 0;
        if (decisive / 100 == 2) {
            ++report_.accepted;
        } else if (decisive / 100 == 4) {
            ++report_.throttled;
            again_.push_back(number);
            session.not_before = Clock::now() + pause;
        } else {
            ++report_.rejected;
            note_refusal(decisive, text);
        }
    }

    void note_refusal(unsigned code, std::string_view text) {
        if (code / 100 == 5 && first_refusal_.empty()) first_refusal_ = text;
    }

    /// Gives back what was in flight; keep_open() dials again.
    void on_lost(Session& session) {
        uint64_t last = UINT64_MAX;
        for (const Expected& expected : session.expected) {
            if (expected.stage < Stage::mail || expected.number == last) continue;
            again_.push_back(last = expected.number);
            ++report_.throttled;
        }
        session.expected.clear();
        session.ready = false;
        session.not_before = Clock::now() + pause;
        if (++lost_ > connections_lost_max) fail("the server keeps closing connections");
    }

    void fail(std::string why) {
        if (report_.error.empty()) report_.error = std::move(why);
    }

    const RunOptions& options_;
    const Corpus& corpus_;
    Progress& progress_;
    Report report_;
    bench::Poller poller_;
    std::vector<Session> sessions_;
    std::deque<uint64_t> again_;
    uint64_t next_ = 0;
    unsigned lost_ = 0;
    std::string first_refusal_;
};

}  // namespace

Report run_smtp(const RunOptions& options, const Corpus& corpus, Progress& progress) {
    return SmtpRun(options, corpus, progress).run();
}

}  // namespace load

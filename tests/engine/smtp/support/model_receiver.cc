#include "tests/engine/smtp/support/model_receiver.h"

#include <array>

namespace engine::testing {

ModelReceiver::ModelReceiver(ManualClock& clock, std::mt19937& random, Habits habits,
                             std::vector<Kept>& kept)
    : clock_(clock),
      random_(random),
      habits_(habits),
      kept_(kept),
      outbox_(habits.says_exim ? "220 model ESMTP Exim 4.96\r\n" : "220 model\r\n") {}

Task<Result<std::string_view>> ModelReceiver::read() {
    if (outbox_.empty()) {
        if (dead_) co_return failure(chance(500) ? Errc::closed : Errc::reset);
        clock_.set(deadline_);
        co_return failure(Errc::timeout);
    }
    const size_t bytes = chance(500) ? outbox_.size() : 1 + random_() % outbox_.size();
    segment_ = outbox_.substr(0, bytes);
    outbox_.erase(0, bytes);
    co_return std::string_view(segment_);
}

Task<Result<void>> ModelReceiver::write(std::span<const std::string_view> chunks) {
    if (dead_) co_return failure(Errc::reset);
    for (const std::string_view chunk : chunks) inbox_ += chunk;
    while (!dead_ && !inbox_.empty() && work()) {
    }
    co_return Result<void>();
}

/// The connection ends; replies that had not left are gone with it.
void ModelReceiver::die() {
    dead_ = true;
    if (!outbox_.empty() && chance(500)) outbox_.resize(random_() % outbox_.size());
}

bool ModelReceiver::work() {
    if (chance(habits_.cuts_per_mille)) {
        die();
        return false;
    }
    if (in_data_) return content_behind_data();
    if (in_chunk_) return chunk();
    const size_t end = inbox_.find("\r\n");
    if (end == std::string::npos) return false;
    const std::string line = inbox_.substr(0, end);
    inbox_.erase(0, end + 2);
    command(line);
    return true;
}

void ModelReceiver::command(const std::string& line) {
    if (line.starts_with("QUIT")) {
        answer("221 bye");
        dead_ = true;
    } else if (habits_.refuses_behind_content && std::exchange(behind_content_, !inbox_.empty())) {
        answer("503 pipelined after end of content");
    } else if (line.starts_with("EHLO")) {
        std::string reply = "250-model\r\n";
        if (habits_.pipelining) reply += "250-PIPELINING\r\n";
        if (habits_.chunking) reply += "250-CHUNKING\r\n";
        answer(reply + "250 HELP");
    } else if (line.starts_with("RSET")) {
        reset();
    } else if (line.starts_with("MAIL FROM:<")) {
        mail(line);
    } else if (line.starts_with("RCPT TO:<")) {
        rcpt(line);
    } else if (line == "DATA") {
        if (!open_ || recipients_.empty()) return answer("503 no recipients");
        in_data_ = true;
        answer("354 go");
    } else if (line.starts_with("BDAT ")) {
        chunk_left_ = std::stoul(line.substr(5));
        const bool good = open_ && !recipients_.empty() && !leaving_;
        if (!good) {
            answer("503 no recipients");
            if (!habits_.keeps_transaction_open) open_ = false;
            if (habits_.takes_chunks_for_commands) return;
        }
        in_chunk_ = true;
        if (!good) recipients_.clear();
    } else {
        answer("500 what");
    }
}

void ModelReceiver::reset() {
    const bool counted = habits_.counts_resets && !std::exchange(free_reset_, false);
    if (counted && ++resets_ > 10) {
        answer("554 Too many nonmail commands");
        dropped_ = true;
        return die();
    }
    open_ = false;
    recipients_.clear();
    answer("250 flushed");
}

void ModelReceiver::mail(const std::string& line) {
    if (open_) return answer("503 sender already given");
    if (leaving_ || (habits_.messages_max > 0 && messages_ >= habits_.messages_max)) {
        answer("421 too many messages in this connection");
        leaving_ = true;
        if (!habits_.goes_on_after_421) dead_ = true;
        return;
    }
    if (chance(10)) return answer(refusal());
    open_ = true;
    sender_ = line.substr(11, line.find('>') - 11);
    recipients_.clear();
    answer("250 ok");
}

void ModelReceiver::rcpt(const std::string& line) {
    if (!open_ || leaving_) return answer("503 no sender");
    if (random_() % 100 < habits_.refusals_percent) return answer(refusal());
    recipients_.push_back(line.substr(9, line.find('>') - 9));
    answer("250 ok");
}

std::string ModelReceiver::refusal() {
    constexpr std::array refusals = {"550 5.1.1 no", "550 no",  "450 4.2.1 later",
                                     "501 what",     "503 no",  "452 4.5.3 too many recipients",
                                     "554 5.7.1 no", "451 busy"};
    return refusals[random_() % refusals.size()];
}

bool ModelReceiver::content_behind_data() {
    const bool empty = inbox_.starts_with(".\r\n");
    const size_t end = empty ? 0 : inbox_.find("\r\n.\r\n");
    if (end == std::string::npos) return false;
    const std::string content = inbox_.substr(0, end);
    inbox_.erase(0, end + (empty ? 3 : 5));
    in_data_ = false;
    judge(content);
    return true;
}

bool ModelReceiver::chunk() {
    if (inbox_.size() < chunk_left_) return false;
    const std::string content = inbox_.substr(0, chunk_left_);
    inbox_.erase(0, chunk_left_);
    in_chunk_ = false;
    if (open_ && !recipients_.empty()) judge(content);
    return true;
}

void ModelReceiver::judge(const std::string& content) {
    open_ = false;
    if (chance(50)) {
        answer(chance(500) ? "554 5.7.1 no" : "451 later");
    } else {
        for (const std::string& recipient : recipients_)
            kept_.push_back({sender_, recipient, content});
        ++messages_;
        free_reset_ = true;
        answer("250 kept");
    }
    recipients_.clear();
    behind_content_ = !inbox_.empty();
    if (habits_.swallows_behind_content) inbox_.clear();
    if (chance(habits_.cuts_per_mille)) die();
}

}  // namespace engine::testing

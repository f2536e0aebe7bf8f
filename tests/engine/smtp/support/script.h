// Conversation scripts: a dialogue and its expected verdicts as a text file, so that a new case is
// only a new file in tests/engine/smtp/scripts. One line each:
//
// clang-format off
//   # text                 a comment
//   G: KEYWORD, KEYWORD    short for a banner, EHLO and an EHLO reply with these keywords
//   S: 250 ok / 354 go     what the server sends; replies are parted by " / "
//   S: <close>  <reset>  <silence>     what happens when the client reads next
//   S: <refuse-writes>     from here on the client's writes fail; what was sent stays readable
//   C: MAIL… / RCPT…       what the client must write, in exactly one write; " / " parts the lines
//   C: <body>  <dot>       the content as it goes over the wire; a lone dot
//   C: <cut-body>          the content, but the write of it fails
//   C: <chunk>             the content behind its BDAT n LAST; <chunk2>, <body2>: the second mail
//   M: from=b@s to=a@x,b@x [content=hello\r\n] [size=N] [flags: eight_bit utf8 lock_step]
//                          the next transaction; its lines follow. Flags beside:
//                          late: there only when the session has nothing else to do and waits
//                          chunk_shown: as it is taken, another connection shows chunk=yes (X:)
//                          notify=N orcpt=rfc822;x envid=x ret=full|headers require_tls
//                          utf8_headers
//   A: user=u password=p mechanisms=PLAIN,LOGIN     log_in(); its lines follow
//   X: depth=next          before the greeting: what this connection may do and what is known of
//                          its host; from here on M lines that follow each other are one run of the
//                          session. Words: depth=lock_step|envelope|next|messages open window=N
//                          messages_max=N behind=yes|no chunk=yes|no no_bdat most=lock_step|…
//   Q:                     the session ends with quit()
//   E: greeted / E: greet deferred 421 banner       what greet() must say
//   E: logged_in / E: auth deferred 535 5.7.8 ehlo  what log_in() must say
//   E: a@x bounced 550 5.1.1 rcpt [in_doubt] [~ part of the reply's text]   ("-": no enhanced code)
//   E: c@x not_taken       the session left this mail where it was
//   E: usable / E: unusable / E: lock_step          of the connection, after the transaction
//   E: host behind=yes chunk=no no_bdat most=envelope messages=2 recipients=3     what was learned
// clang-format on
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "engine/net/stream.h"
#include "engine/smtp/session.h"

namespace engine::testing {

/// How the server's bytes are cut into segments.
enum class Cut : uint8_t { per_reply, per_octet, all_at_once };

class ManualClock : public Clock {
  public:
    Instant now() const override { return now_; }
    WallTime wall() const override { return {}; }
    void set(Instant now) { now_ = std::max(now_, now); }

  private:
    Instant now_{std::chrono::hours(1)};
};

struct ScriptLine {
    int number = 0;
    char kind = 0;  // one of G S C M Q A E
    std::string text;
};
std::vector<ScriptLine> read_script(const std::string& path);

/// Plays `path` with a real Session. Returns what went otherwise than the script says, one sentence
/// each, with the line's number; empty: all as written.
std::vector<std::string> play(const std::string& path, Cut cut);

}  // namespace engine::testing

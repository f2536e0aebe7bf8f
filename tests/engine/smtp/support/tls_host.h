// A host that offers STARTTLS over a pair of streams in memory; what it says to it is the test's.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/net/line_reader.h"
#include "engine/net/tls_stream.h"
#include "tests/engine/net/support/certificates.h"

namespace engine::test {

inline const Authority& authority() {
    static const Authority made;
    return made;
}
inline std::shared_ptr<const TlsContext> server_context() {
    static const auto made = [] {
        const CertificateFiles files = authority().issue("mx.x.test", {.names = "DNS:mx.x.test"});
        return TlsContext::server({files.certificate, files.key}).value();
    }();
    return made;
}
inline std::shared_ptr<const TlsContext> client_context() {
    static const auto made = TlsContext::client({.ca_file = authority().file()}).value();
    return made;
}

inline constexpr char before_tls[] = "250-mx.x.test\r\n250-STARTTLS\r\n250 SIZE 1000\r\n";
inline constexpr char after_tls[] = "250-mx.x.test\r\n250 PIPELINING\r\n";

/// A host that offers STARTTLS; what it says to it is the test's.
struct TlsHost {
    std::string reply = "220 go\r\n";
    std::string behind_it;       // comes with the reply
    std::string in_place_of_it;  // what is sent where the handshake's first octets should be
    bool implicit = false;
    std::string before = before_tls, after = after_tls;  // its replies to EHLO
    std::shared_ptr<const TlsContext> context = server_context();
    std::vector<std::string> heard;  // lines, before and after the handshake
    bool shook_hands = false;

    Task<> serve(Stream& wire) {
        TlsStream tls(wire, context);
        Stream* stream = &wire;
        if (implicit) {
            if (!co_await tls.handshake()) co_return wire.close();
            stream = &tls;
        }
        co_await say(*stream, "220 mx.x.test\r\n");
        for (;;) {
            LineReader lines(*stream, {});
            const auto line = co_await lines.next();
            if (!line) co_return wire.close();
            heard.emplace_back(line->text);
            if (heard.back() != "STARTTLS") {
                co_await say(*stream, heard.back() == "QUIT" ? "221 bye\r\n"
                                      : stream == &wire      ? before
                                                             : after);
                continue;
            }
            co_await say(wire, reply + behind_it);
            if (!reply.starts_with("220")) continue;
            if (!in_place_of_it.empty()) {
                co_await say(wire, in_place_of_it);
                co_await wire.read();  // our hello, which it has not waited for
                co_return wire.close();
            }
            if (!co_await tls.handshake()) co_return wire.close();
            shook_hands = true;
            stream = &tls;
        }
    }
    static Task<> say(Stream& stream, std::string text) {
        const std::string_view chunk = text;
        co_await stream.write({&chunk, 1});
    }
};

}  // namespace engine::test

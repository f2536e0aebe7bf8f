#include "ingest/smtp_server.h"

#include <algorithm>
#include <utility>

#include "ingest/smtp_session.h"

namespace ingest {

using engine::Task;

SmtpAccess SmtpAccess::of_this_host() {
    return {.trusted = {engine::AddressRange::parse("127.0.0.0/8").value(),
                        engine::AddressRange::parse("::1").value()},
            .tls = nullptr};
}

bool SmtpAccess::trusts(const std::string& ip) const {
    const auto address = engine::AddressRange::parse(ip);
    return address && std::ranges::any_of(trusted, [&](const engine::AddressRange& network) {
               return network.contains(address->bytes);
           });
}

Task<> serve_smtp(std::unique_ptr<engine::Stream> stream, SmtpServerContext* context,
                  SmtpPort port) {
    SmtpSession session(std::move(stream), *context, port);
    co_await session.run();
}

Task<> refuse_smtp(std::unique_ptr<engine::Stream> stream, SmtpServerContext* context,
                   const char* why) {
    SmtpSession session(std::move(stream), *context, SmtpPort::plain);
    co_await session.turn_away(why);
}

}  // namespace ingest

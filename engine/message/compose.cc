#include "engine/message/compose.h"

#include <algorithm>
#include <optional>

#include "engine/message/dkim.h"
#include "engine/message/relaxed.h"
#include "engine/message/seven_bit.h"

namespace engine {
namespace {

void convert(Composed& mail, MailForm form) {
    auto changed =
        form == MailForm::seven_bit ? to_seven_bit(mail.bytes) : to_ascii_header(mail.bytes);
    if (!changed) return;
    mail.bytes = std::move(*changed);
    mail.eight_bit = mail.eight_bit && form == MailForm::ascii_header;
    mail.utf8_header = false;
    mail.converted = true;
}

void sign(Composed& mail, std::optional<Sha256> body_hash, const DkimKeys& keys,
          std::string_view tenant, std::chrono::sys_seconds now) {
    const std::string_view whole = mail.bytes;
    const std::string_view header = whole.substr(0, header_size(whole));
    const auto identities = keys.find(from_domain(header), tenant);
    if (identities.empty()) return;
    if (!body_hash)
        body_hash = relaxed_body_hash(whole.substr(std::min(header.size() + 2, whole.size())));
    std::string bytes = dkim_signatures(header, *body_hash, identities, now);
    bytes += mail.bytes;
    mail.bytes = std::move(bytes);
    mail.is_signed = true;
}

}  // namespace

Composed compose(const Content& content, const Merge& merge, MailForm form, const DkimKeys& keys,
                 std::string_view tenant, std::chrono::sys_seconds now) {
    Composed mail{.bytes = content.render(merge),
                  .eight_bit = content.eight_bit(),
                  .utf8_header = content.utf8_header()};
    if (form != MailForm::as_is) convert(mail, form);
    if (keys.empty()) return mail;
    const bool same_body = !mail.converted || form == MailForm::ascii_header;
    sign(mail, same_body ? content.constant_body_hash() : std::nullopt, keys, tenant, now);
    return mail;
}

}  // namespace engine

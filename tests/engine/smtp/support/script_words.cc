#include "tests/engine/smtp/support/script_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "engine/smtp/dot_stuff.h"

namespace engine::testing {

namespace {

Depth depth_named(const std::string& name) {
    for (const Depth depth : {Depth::lock_step, Depth::envelope, Depth::next, Depth::messages}) {
        if (to_string(depth) == name) return depth;
    }
    throw std::runtime_error("no such depth in a script: " + name);
}

}  // namespace

std::vector<std::string> split(const std::string& text, const std::string& by) {
    std::vector<std::string> parts;
    size_t begin = 0;
    for (size_t at = text.find(by); at != std::string::npos; at = text.find(by, begin)) {
        parts.push_back(text.substr(begin, at - begin));
        begin = at + by.size();
    }
    parts.push_back(text.substr(begin));
    return parts;
}

std::vector<std::string> words(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> result;
    for (std::string word; in >> word;) result.push_back(word);
    return result;
}

std::string unescape(const std::string& text) {
    std::string result;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            result += text[i];
            continue;
        }
        switch (text[++i]) {
            case 'r':
                result += '\r';
                break;
            case 'n':
                result += '\n';
                break;
            case 's':
                result += ' ';
                break;
            case 'x':
                result += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
                i += 2;
                break;
            default:
                result += text[i];
        }
    }
    return result;
}

std::string stuffed(std::string_view content) {
    std::string wire;
    DotStuffer stuffer(content);
    for (auto block = stuffer.next(); !block.empty(); block = stuffer.next()) {
        for (const std::string_view chunk : block) wire += chunk;
    }
    return wire;
}

Mail parse_mail(const std::string& text) {
    Mail mail{.sender = "b@s"};
    std::string content = "Subject: x\r\n\r\n.hello\r\n";
    for (const std::string& word : words(text)) {
        const std::string value = word.substr(word.find('=') + 1);
        if (word.starts_with("from=")) mail.sender = value;
        if (word.starts_with("to=")) {
            mail.recipients.clear();
            for (std::string& to : split(value, ",")) mail.recipients.push_back({std::move(to)});
        }
        if (word.starts_with("content=")) content = unescape(value);
        if (word.starts_with("size=")) content = std::string(std::stoul(value) - 2, 'x') + "\r\n";
        if (word == "eight_bit") mail.eight_bit = true;
        if (word == "utf8") mail.utf8_addresses = true;
        if (word == "lock_step") mail.lock_step = true;
        if (word == "utf8_headers") mail.utf8_headers = true;
        if (word == "require_tls") mail.require_tls = true;
        if (word.starts_with("envid=")) mail.envid = unescape(value);
        if (word.starts_with("notify=")) mail.recipients.front().notify = std::stoi(value);
        if (word.starts_with("orcpt=")) mail.recipients.front().orcpt = unescape(value);
        if (word == "ret=full") mail.ret = storage::DsnReturn::full;
        if (word == "ret=headers") mail.ret = storage::DsnReturn::headers;
    }
    // "to=101*": so many recipients r1@x, r2@x…
    if (mail.recipients.size() == 1 && mail.recipients[0].address.ends_with('*')) {
        const int count = std::stoi(mail.recipients[0].address);
        mail.recipients.clear();
        for (int i = 1; i <= count; ++i) mail.recipients.push_back({fmt::format("r{}@x", i)});
    }
    mail.content = std::make_shared<const std::string>(content);
    return mail;
}

std::shared_ptr<const Credentials> parse_credentials(const std::string& text) {
    auto credentials = std::make_shared<Credentials>();
    for (const std::string& word : words(text)) {
        const std::string value = word.substr(word.find('=') + 1);
        if (word.starts_with("user=")) credentials->user = value;
        if (word.starts_with("password=")) credentials->password = Secret(value);
        if (!word.starts_with("mechanisms=")) continue;
        for (const AuthMechanism mechanism : auth_mechanisms) {
            for (const std::string& name : split(value, ",")) {
                if (name == to_string(mechanism))
                    credentials->mechanisms |= static_cast<uint8_t>(mechanism);
            }
        }
    }
    return credentials;
}

std::vector<std::string> repeated(const std::string& part) {
    int first = 0;
    int last = 0;
    std::vector<std::string> result;
    if (std::sscanf(part.c_str(), "RCPT TO:<r%d@x>..<r%d@x>", &first, &last) == 2) {
        for (int i = first; i <= last; ++i) result.push_back(fmt::format("RCPT TO:<r{}@x>", i));
        return result;
    }
    const size_t star = part.rfind('*');
    if (star != std::string::npos &&
        part.find_first_not_of("0123456789", star + 1) == std::string::npos &&
        star + 1 < part.size()) {
        const std::string text = part.substr(0, star);
        result.assign(std::stoul(part.substr(star + 1)), text);
        return result;
    }
    return {part};
}

Knowledge parse_knowledge(const std::string& text) {
    using Shown = HostTraits::Shown;
    Knowledge known;
    for (const std::string& word : words(text)) {
        const std::string value = word.substr(word.find('=') + 1);
        const auto number = [&] { return static_cast<uint32_t>(std::stoul(value)); };
        if (word.starts_with("depth=")) known.plan.depth = depth_named(value);
        if (word == "open") known.plan.next = SessionPlan::Open::at_once;
        if (word.starts_with("window=")) known.plan.window = number();
        if (word.starts_with("messages_max=")) known.plan.messages_max = number();
        if (word.starts_with("learned_max=")) known.traits->messages_max = number();
        const Shown shown = value == "yes" ? Shown::yes : Shown::no;
        if (word.starts_with("behind=")) known.traits->reads_behind_content = shown;
        if (word.starts_with("chunk=")) known.traits->skips_refused_chunk = shown;
        if (word == "no_bdat") known.traits->chunks_fail = true;
        if (word.starts_with("most=")) known.traits->depth_max = depth_named(value);
    }
    return known;
}

std::string known_to_be(const HostTraits& traits) {
    using Shown = HostTraits::Shown;
    std::string text = "host";
    const auto add = [&](const char* name, Shown value) {
        if (value != Shown::not_yet)
            text += fmt::format(" {}={}", name, value == Shown::yes ? "yes" : "no");
    };
    add("behind", traits.reads_behind_content);
    add("chunk", traits.skips_refused_chunk);
    if (traits.chunks_fail) text += " no_bdat";
    if (traits.depth_max != Depth::messages)
        text += fmt::format(" most={}", to_string(traits.depth_max));
    if (traits.messages_max > 0) text += fmt::format(" messages={}", traits.messages_max);
    if (traits.recipients_max > 0) text += fmt::format(" recipients={}", traits.recipients_max);
    return text;
}

}  // namespace engine::testing

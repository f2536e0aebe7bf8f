#include "engine/policy/tls_counts.h"

#include <algorithm>

#include "storage/codec.h"

namespace engine {

namespace {

constexpr uint8_t version = 1;
constexpr size_t texts_max = StsPolicy::patterns_max + 8;  // of one list in a record

using Type = TlsFinding::Type;
using Dane = ObservedTls::Dane;

/// What keeps a session below `least`; empty when it is not.
std::string_view lack_of(const ObservedTls& session, TlsLevel least) {
    if (session.level >= least) return {};
    if (session.failure != TlsFailure::none) return to_string(session.failure);
    return session.level == TlsLevel::plain ? to_string(TlsFailure::not_offered)
                                            : to_string(TlsFailure::validation);
}

void write(storage::Writer& writer, const std::vector<std::string>& texts) {
    writer.varint(texts.size());
    for (const std::string& text : texts) writer.string(text);
}

std::vector<std::string> read_texts(storage::Reader& reader) {
    std::vector<std::string> texts;
    const uint64_t count = reader.varint();
    if (count > texts_max) reader.fail();
    for (uint64_t i = 0; i < count && !reader.failed(); ++i) texts.emplace_back(reader.string());
    return texts;
}

}  // namespace

TlsFinding finding_of(const ObservedTls& session, const StsAnswer& sts, const std::string& mx) {
    switch (session.dane) {
        case Dane::unknown:
            return {.type = Type::tlsa, .result = "dnssec-invalid"};
        case Dane::unusable:
            return {.type = Type::tlsa, .result = "tlsa-invalid"};
        case Dane::usable:
            return {.type = Type::tlsa, .result = lack_of(session, TlsLevel::dane)};
        case Dane::none:
            break;
    }
    if (sts.policy && sts.policy->mode != StsPolicy::Mode::none) {
        const bool named = std::ranges::any_of(
            sts.policy->mx, [&](const std::string& pattern) { return covers_host(pattern, mx); });
        return {.type = Type::sts,
                .policy = sts.policy,
                .result = named ? lack_of(session, TlsLevel::verified)
                                : to_string(TlsFailure::validation)};
    }
    if (!sts.miss.empty()) return {.type = Type::sts, .result = sts.miss};
    return {.type = Type::none, .result = lack_of(session, TlsLevel::encrypted)};
}

void TlsCounts::add(const TlsFinding& finding, const std::string& host, const std::string& ip) {
    if (finding.result.empty()) {
        ++successes;
    } else {
        add_failures(finding.result, host, ip, 1);
    }
}

void TlsCounts::add(const TlsCounts& other) {
    successes += other.successes;
    for (const TlsFailureCount& failure : other.failures)
        add_failures(failure.result, failure.mx, failure.ip, failure.sessions);
}

void TlsCounts::add_failures(std::string_view result, const std::string& host,
                             const std::string& ip, uint64_t sessions) {
    const auto known = [&](std::string_view of_host, std::string_view of_ip) {
        return std::ranges::find_if(failures, [&](const TlsFailureCount& failure) {
            return failure.result == result && failure.mx == of_host && failure.ip == of_ip;
        });
    };
    auto found = known(host, ip);
    const bool full = found == failures.end() && failures.size() >= failures_max;
    if (full) found = known("", "");
    if (found == failures.end()) {
        failures.push_back({std::string(result), full ? "" : host, full ? "" : ip, 0});
        found = std::prev(failures.end());
    }
    found->sessions += sessions;
}

uint64_t TlsCounts::failed() const {
    uint64_t sum = 0;
    for (const TlsFailureCount& failure : failures) sum += failure.sessions;
    return sum;
}

std::string_view to_string(Type type) {
    switch (type) {
        case Type::tlsa:
            return "tlsa";
        case Type::sts:
            return "sts";
        case Type::none:
            return "no-policy-found";
    }
    return "";
}

std::string encode(const TlsCounts& counts) {
    storage::Writer writer;
    writer.byte(version);
    writer.byte(static_cast<uint8_t>(counts.type));
    write(writer, counts.policy);
    write(writer, counts.mx);
    writer.varint(counts.successes);
    writer.varint(counts.failures.size());
    for (const TlsFailureCount& failure : counts.failures) {
        writer.string(failure.result);
        writer.string(failure.mx);
        writer.string(failure.ip);
        writer.varint(failure.sessions);
    }
    return writer.take();
}

std::optional<TlsCounts> decode_tls_counts(std::string_view bytes) {
    storage::Reader reader(bytes);
    if (reader.byte() != version) return std::nullopt;
    TlsCounts counts{.type = static_cast<Type>(reader.below(3))};
    counts.policy = read_texts(reader);
    counts.mx = read_texts(reader);
    counts.successes = reader.varint();
    const uint64_t failures = reader.varint();
    // Each kind of result may have one more for what was beyond the limit.
    if (failures > 2 * TlsCounts::failures_max) reader.fail();
    for (uint64_t i = 0; i < failures && !reader.failed(); ++i) {
        TlsFailureCount failure;
        failure.result = reader.string();
        failure.mx = reader.string();
        failure.ip = reader.string();
        failure.sessions = reader.varint();
        counts.failures.push_back(std::move(failure));
    }
    if (!reader.finished()) return std::nullopt;
    return counts;
}

}  // namespace engine

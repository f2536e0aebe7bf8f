#include "bench/sink/body.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

namespace sink {
namespace {

constexpr uint64_t line_octets_max = 998;  // without CRLF

bool has_eight_bit(std::string_view octets) {
    unsigned char all = 0;
    for (char c : octets) all |= static_cast<unsigned char>(c);
    return all > 127;
}

const char* find(const char* from, const char* end, char c) {
    return static_cast<const char*>(std::memchr(from, c, size_t(end - from)));
}

}  // namespace

Body::Body(Keep keep) : keep_(keep) {
    if (keep != Keep::nothing) sha_.reset(EVP_MD_CTX_new());
    start();
}

void Body::start() {
    octets_.clear();
    size_ = column_ = 0;
    match_ = Match::line_start;
    last_was_cr_ = false;
    faults_ = {};
    if (sha_) EVP_DigestInit_ex(sha_.get(), EVP_sha256(), nullptr);
}

size_t Body::take_data(std::string_view input) {
    const char* p = input.data();
    const char* end = p + input.size();
    const char* span = p;  // content from here to p is not handed on yet
    auto hand_on = [&](const char* to) {
        if (to > span) add({span, size_t(to - span)});
    };
    while (p < end) {
        switch (match_) {
            case Match::none:
                p = find(p, end, '\r');
                if (!p) {
                    p = end;
                    break;
                }
                ++p;
                match_ = Match::cr;
                break;
            case Match::cr:
                match_ = *p == '\n' ? Match::line_start : *p == '\r' ? Match::cr : Match::none;
                ++p;
                break;
            case Match::line_start:
                if (*p == '.') {
                    hand_on(p);
                    span = ++p;  // the sender's dot is no content, whatever follows
                    match_ = Match::dot;
                } else {
                    match_ = Match::none;
                }
                break;
            case Match::dot:
                if (*p == '\r') {
                    span = ++p;  // held back until it is known not to be the end mark's
                    match_ = Match::dot_cr;
                } else {
                    match_ = Match::none;
                }
                break;
            case Match::dot_cr:
                if (*p == '\n') {
                    match_ = Match::end;
                    return size_t(p + 1 - input.data());
                }
                add("\r");
                match_ = Match::cr;
                break;
            case Match::end:
                return size_t(p - input.data());
        }
    }
    hand_on(end);
    return input.size();
}

Faults Body::faults() const {
    Faults faults = faults_;
    faults.bare_newline |= last_was_cr_;
    return faults;
}

std::string Body::digest() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> octets{};
    unsigned length = 0;
    EVP_DigestFinal_ex(sha_.get(), octets.data(), &length);
    std::string text;
    text.reserve(size_t(length) * 2);
    for (unsigned i = 0; i < length; ++i)
        fmt::format_to(std::back_inserter(text), "{:02x}", octets[i]);
    return text;
}

void Body::add(std::string_view octets) {
    size_ += octets.size();
    if (sha_) EVP_DigestUpdate(sha_.get(), octets.data(), octets.size());
    if (keep_ == Keep::digest_and_octets && size_ <= octets_kept_max) octets_.append(octets);
    if (!faults_.eight_bit) faults_.eight_bit = has_eight_bit(octets);
    check_lines(octets);
}

void Body::check_lines(std::string_view octets) {
    const char* p = octets.data();
    const char* end = p + octets.size();
    while (p < end) {
        if (last_was_cr_) {
            last_was_cr_ = false;
            if (*p == '\n') {
                ++p;
                column_ = 0;
                continue;
            }
            faults_.bare_newline = true;
        }
        const char* newline = find(p, end, '\n');
        const char* line_end = newline ? newline : end;
        const char* cr = find(p, line_end, '\r');
        if (cr) {
            column_ += uint64_t(cr - p);
            last_was_cr_ = true;
            p = cr + 1;
        } else {
            column_ += uint64_t(line_end - p);
            if (newline) faults_.bare_newline = true;
            p = newline ? newline + 1 : end;
        }
        if (column_ > line_octets_max) faults_.long_line = true;
        if (newline && !cr) column_ = 0;
    }
}

}  // namespace sink

#include "bench/sink/address.h"

#include <cstddef>

namespace sink {
namespace {

constexpr size_t local_octets_max = 64;
constexpr size_t domain_octets_max = 255;
constexpr size_t label_octets_max = 63;

bool alphanumeric(unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool atom_text(unsigned char c, NonAscii non_ascii) {
    if (c > 127) return non_ascii == NonAscii::allowed;
    return alphanumeric(c) ||
           std::string_view("!#$%&'*+-/=?^_`{|}~").find(char(c)) != std::string_view::npos;
}

/// Octets of the local part at the front of text; 0: there is none.
size_t local_length(std::string_view text, NonAscii non_ascii) {
    if (text.starts_with('"')) {
        for (size_t i = 1; i < text.size(); ++i) {
            unsigned char c = static_cast<unsigned char>(text[i]);
            if (c == '"') return i + 1;
            if (c == '\\') {
                if (++i >= text.size()) return 0;
                c = static_cast<unsigned char>(text[i]);
            }
            if (c < 32 || c == 127 || (c > 127 && non_ascii == NonAscii::refused)) return 0;
        }
        return 0;
    }
    size_t i = 0;
    bool atom = false;  // an atom has begun: dots stand between atoms only
    for (; i < text.size(); ++i) {
        unsigned char c = static_cast<unsigned char>(text[i]);
        if (c == '.' && atom) {
            atom = false;
        } else if (atom_text(c, non_ascii)) {
            atom = true;
        } else {
            break;
        }
    }
    return atom ? i : 0;
}

bool is_domain(std::string_view text, NonAscii non_ascii) {
    if (text.empty() || text.size() > domain_octets_max) return false;
    if (text.front() == '[') {
        if (text.size() < 3 || text.back() != ']') return false;
        for (char c : text.substr(1, text.size() - 2)) {
            if (c <= 32 || c == 127 || c == '[' || c == ']' || c == '\\') return false;
        }
        return true;
    }
    size_t label = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        unsigned char c = static_cast<unsigned char>(text[i]);
        if (c == '.') {
            if (label == 0 || text[i - 1] == '-') return false;
            label = 0;
            continue;
        }
        bool good = alphanumeric(c) || (c == '-' && label > 0) || c == '_' ||
                    (c > 127 && non_ascii == NonAscii::allowed);
        if (!good || ++label > label_octets_max) return false;
    }
    return label > 0 && text.back() != '-';
}

}  // namespace

std::optional<Path> parse_path(std::string_view text, NonAscii non_ascii) {
    if (!text.starts_with('<')) return std::nullopt;
    size_t address_octets = 0;
    size_t close = 1;
    if (!text.substr(1).starts_with('>')) {
        size_t local = local_length(text.substr(1), non_ascii);
        if (local == 0 || local > local_octets_max) return std::nullopt;
        size_t at = 1 + local;
        if (at >= text.size()) return std::nullopt;
        close = text.find('>', at);
        if (close == std::string_view::npos || text[at] != '@') return std::nullopt;
        if (!is_domain(text.substr(at + 1, close - at - 1), non_ascii)) return std::nullopt;
        address_octets = close - 1;
    }
    Path path{.address = text.substr(1, address_octets), .parameters = text.substr(close + 1)};
    if (path.parameters.empty()) return path;
    if (path.parameters.front() != ' ') return std::nullopt;
    path.parameters.remove_prefix(1);
    return path;
}

}  // namespace sink

// Reply: what a server answered, as a value.
#pragma once

#include <cstdint>
#include <string>

namespace engine {

/// A whole reply (RFC 5321 4.2): lines joined by '\n', without codes. `enhanced` is "5.1.1" or
/// empty; it only counts when its class equals the code's (RFC 2034), and is then taken out of
/// `text`.
struct Reply {
    uint16_t code = 0;
    std::string enhanced;
    std::string text;
    bool positive() const { return code >= 200 && code < 300; }
    bool transient() const { return code >= 400 && code < 500; }
    bool permanent() const { return code >= 500 && code < 600; }
};

}  // namespace engine

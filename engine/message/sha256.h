// SHA-256 of octets at hand.
#pragma once

#include <array>
#include <string_view>

namespace engine {

using Sha256 = std::array<unsigned char, 32>;
Sha256 sha256(std::string_view octets);

}  // namespace engine

#include "engine/smtp/depth.h"

namespace engine {

std::string_view to_string(Depth depth) {
    switch (depth) {
        case Depth::lock_step:
            return "lock_step";
        case Depth::envelope:
            return "envelope";
        case Depth::next:
            return "next";
        case Depth::messages:
            return "messages";
    }
    return "";
}

}  // namespace engine

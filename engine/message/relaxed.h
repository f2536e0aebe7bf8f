// The "relaxed" forms of RFC 6376 3.4: what a signature is about, so that it survives relays that
// fold a field anew or strip blanks. Fields and bodies are taken as rendering gives them: CRLF line
// ends, no bare CR or LF.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "engine/message/sha256.h"

namespace engine {

/// Gives the relaxed body (3.4.4) to `take`, piece by piece; views are valid during the call.
/// Nothing is given for a body without text.
void relax_body(std::string_view body, const std::function<void(std::string_view)>& take);
/// The hash of that, for bh=.
Sha256 relaxed_body_hash(std::string_view body);

/// Appends a whole field ("Name: value CRLF", folded or not) in relaxed form (3.4.2), CRLF at its
/// end.
void append_relaxed_field(std::string& out, std::string_view field);

}  // namespace engine

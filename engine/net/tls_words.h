// OpenSSL's errors as words for people.
#pragma once

#include <string>

namespace engine {

/// What this thread's last call of OpenSSL complained of; empties its queue.
std::string tls_error_words();

}  // namespace engine

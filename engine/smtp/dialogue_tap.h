// DialogueTap: somebody who listens to a dialogue while it goes on. What is secret never reaches
// it.
#pragma once

#include <string_view>

#include "engine/reactor/result.h"
#include "engine/smtp/reply.h"

namespace engine {

class DialogueTap {
  public:
    virtual ~DialogueTap() = default;
    /// Asked before any of the others is called, many times a mail: nearly always nobody listens.
    virtual bool listens() const = 0;
    virtual void we_say(std::string_view lines) = 0;     // whole commands, one or several
    virtual void we_send(std::string_view content) = 0;  // some octets, as they go over the wire
    virtual void host_says(const Reply& reply) = 0;
    virtual void note(std::string_view what) = 0;  // something happened that nobody has said
};

}  // namespace engine

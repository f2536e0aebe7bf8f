// Letter: the mail of a transaction, made out of the loans that share it.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "engine/delivery/loan.h"
#include "engine/reactor/task.h"
#include "engine/smtp/capabilities.h"
#include "engine/smtp/mail.h"

namespace engine {

/// One per connection: it keeps what it made last where the bytes are the same for all of a job.
class LetterWriter {
  public:
    /// `loans` are of one job, at least one; more only where its bytes are the same for all. They
    /// must stay where they are until the task ends. `host`: what the receiver takes.
    Task<Mail> write(std::span<const Loan> loans, Capabilities host);

  private:
    std::shared_ptr<const std::string> rendered_;
    storage::JobId rendered_job_{};
};

}  // namespace engine

// Counted: a count that goes up for as long as something goes on, whatever way it ends.
#pragma once

#include <cstddef>

namespace engine {

class Counted {
  public:
    explicit Counted(size_t& count, size_t by = 1) : count_(count), by_(by) { count_ += by_; }
    ~Counted() { count_ -= by_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

  private:
    size_t& count_;
    size_t by_;
};

}  // namespace engine

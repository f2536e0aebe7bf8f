// Counted: a count that goes up for as long as something goes on, whatever way it ends.
#pragma once

namespace engine {

template <class Count>
class Counted {
  public:
    explicit Counted(Count& count) : count_(count) { ++count_; }
    ~Counted() { --count_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

  private:
    Count& count_;
};

}  // namespace engine

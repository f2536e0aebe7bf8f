// Random but legal use of a store, and what the store must then hold: the model that crash tests
// compare with.
#pragma once

#include <map>
#include <random>
#include <set>
#include <vector>

#include "storage/store.h"

namespace storage::tests {

/// What can be seen of a store's deliveries. Content, jobs and ledger follow from it and are
/// checked against it.
struct Image {
    std::set<DeliveryKey> rows;
    std::map<DeliveryId, std::vector<Event::Type>> stories;

    void apply(const Batch&);
    bool operator==(const Image&) const = default;
};

/// Reads everything, and fails the test where counts, jobs or contents do not agree with rows and
/// events.
Image image_of(Store&);

class Workload {
  public:
    explicit Workload(uint64_t seed, uint16_t lane = 0) : random_(seed), lane_(lane) {}

    /// One to three batches; they touch only what this workload has put.
    std::vector<Batch> next();
    void acknowledged(const std::vector<Batch>& group);
    /// A group that failed did nothing: its deliveries may be tried again.
    void forget_doubt();
    const Image& image() const { return image_; }
    std::mt19937_64& random() { return random_; }

    static std::string content_of(JobId);

  private:
    Batch new_job();
    Batch end_of(const Delivery&);

    std::mt19937_64 random_;
    uint16_t lane_;
    uint16_t jobs_ = 0;
    Image image_;
    std::map<DeliveryId, Delivery> rows_;  // as acknowledged
    std::map<DeliveryId, Delivery> open_;  // those of them that no group in hand touches
};

}  // namespace storage::tests

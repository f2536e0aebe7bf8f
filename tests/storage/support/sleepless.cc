#include "tests/storage/support/sleepless.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>

#include <algorithm>

namespace storage::tests {

namespace {

constexpr int sleep_max_us = 200;

class ShortClock final : public rocksdb::SystemClockWrapper {
  public:
    ShortClock() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
    const char* Name() const override { return "ShortClock"; }
    void SleepForMicroseconds(int micros) override {
        SystemClockWrapper::SleepForMicroseconds(std::min(micros, sleep_max_us));
    }
};

class ShortEnv final : public rocksdb::EnvWrapper {
  public:
    explicit ShortEnv(const std::shared_ptr<rocksdb::FileSystem>& file_system)
        : EnvWrapper(rocksdb::NewCompositeEnv(file_system)) {
        system_clock_ = std::make_shared<ShortClock>();
    }
    const char* Name() const override { return "ShortEnv"; }
};

}  // namespace

Sleepless::Sleepless(std::shared_ptr<rocksdb::FileSystem> file_system)
    : env_(std::make_shared<ShortEnv>(file_system ? file_system : rocksdb::FileSystem::Default())) {
}

void Sleepless::operator()(rocksdb::DBOptions& options,
                           std::vector<rocksdb::ColumnFamilyDescriptor>&) const {
    options.env = env_.get();
}

}  // namespace storage::tests

#include "tests/sim/disk.h"

#include "tests/storage/support/faulty_fs.h"
#include "tests/storage/support/records.h"
#include "tests/storage/support/sleepless.h"

namespace sim {

using storage::tests::FaultyFs;

namespace {
constexpr uint64_t operations_ahead = 8;  // of the log, among which the choice falls
constexpr size_t store_memory = size_t{4} << 20;

FaultyFs::Operation operation_of(uint64_t choice) {
    return choice % 2 == 0 ? FaultyFs::Operation::append : FaultyFs::Operation::sync;
}
}  // namespace

struct Disk::State {
    storage::tests::TemporaryDirectory directory;
    std::shared_ptr<FaultyFs> file_system = std::make_shared<FaultyFs>();
    storage::tests::Sleepless sleepless{file_system};
};

Disk::Disk() : state_(std::make_unique<State>()) {}
Disk::~Disk() = default;

storage::Result<std::unique_ptr<storage::Store>> Disk::open() {
    return storage::Store::open({.data_dir = state_->directory.path() / "data",
                                 .memory_bytes = store_memory,
                                 .file_system = state_->file_system,
                                 .adjust = [this](auto& options, auto& families) {
                                     state_->sleepless(options, families);
                                     // A thread for each table that is opened would be most of a
                                     // small store's start.
                                     options.max_file_opening_threads = 1;
                                 }});
}

void Disk::cut_power_in_log(uint64_t choice) {
    state_->file_system->fail({.operation = operation_of(choice),
                               .name_part = ".log",
                               .pass = choice / 2 % operations_ahead,
                               .times = 1,
                               .cuts_power = true});
}

void Disk::cut_power_at_sync(uint64_t number) {
    state_->file_system->fail({.operation = FaultyFs::Operation::sync,
                               .name_part = ".log",
                               .pass = number - 1,
                               .times = 1,
                               .cuts_power = true});
}

uint64_t Disk::log_syncs() const {
    return state_->file_system->log_syncs();
}

void Disk::cut_power() {
    state_->file_system->cut_power();
}

bool Disk::powered() const {
    return state_->file_system->powered();
}

void Disk::restore_power(uint64_t seed) {
    std::mt19937_64 random(seed);
    state_->file_system->restore_power(random);
}

void Disk::fail_log(uint64_t choice) {
    state_->file_system->fail({.operation = operation_of(choice),
                               .name_part = ".log",
                               .pass = choice / 2 % operations_ahead,
                               .times = 1});
}

void Disk::fill() {
    state_->file_system->fail({.operation = FaultyFs::Operation::append,
                               .name_part = ".log",
                               .status = rocksdb::IOStatus::NoSpace("injected: disk full")});
}

uint64_t Disk::faults() const {
    return state_->file_system->injected();
}

void Disk::heal() {
    state_->file_system->clear_faults();
}

}  // namespace sim

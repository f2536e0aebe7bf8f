// KeptNotes: what a shard has learned, kept over restarts as notes of the store of one kind. They
// are read and written on the shard's storage worker.
#pragma once

#include <string_view>
#include <vector>

#include "engine/reactor/task.h"
#include "storage/types.h"

namespace storage {
class Store;
}

namespace engine {

class Worker;

class KeptNotes {
  public:
    static constexpr size_t writes_max = 500;  // that others' commits should wait for at a time

    /// `kind` lives as long as the program.
    KeptNotes(Worker& worker, storage::Store& store, std::string_view kind)
        : worker_(worker), store_(store), kind_(kind) {}

    /// At most so many. None where they cannot be read; that is said.
    Task<std::vector<storage::Note>> read(size_t most);
    /// False where they could not be written; that is said, and is to be tried again later.
    Task<bool> write(const std::vector<storage::Note>& notes);

  private:
    Worker& worker_;
    storage::Store& store_;
    std::string_view kind_;
};

}  // namespace engine

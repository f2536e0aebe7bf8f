// What the journal of deliveries in doubt costs a message: a slot taken before its content leaves,
// and cleared after its outcome is durable.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <deque>
#include <filesystem>

#include "storage/in_doubt_files.h"

namespace {

/// `range(0)`: deliveries that are in doubt at a time.
void journal(benchmark::State& state) {
    const auto at =
        std::filesystem::temp_directory_path() / ("sluice-in-doubt-" + std::to_string(::getpid()));
    std::filesystem::create_directory(at);
    {
        auto files = storage::InDoubtFiles::open(at, 1, 1);
        if (!files) return state.SkipWithError(files.error().what.c_str());
        (*files)->begin();
        storage::InDoubtJournal& journal = (*files)->journal(0);
        storage::Delivery delivery;
        delivery.queue = {1, 2};
        std::deque<storage::InDoubtMark> marks;
        for (auto _ : state) {
            journal.reserve(1);
            ++delivery.id.index;
            marks.push_back(journal.put(delivery, delivery.accepted));
            journal.give_back(1);
            if (marks.size() <= static_cast<size_t>(state.range(0))) continue;
            marks.front().clear();
            marks.pop_front();
        }
        state.SetItemsProcessed(state.iterations());
    }
    std::filesystem::remove_all(at);
}
BENCHMARK(journal)->Name("in_doubt_journal")->Arg(100)->Arg(1'000)->Arg(20'000);

}  // namespace

#include "engine/delivery/kept_notes.h"

#include "engine/reactor/worker.h"
#include "metrics/log.h"
#include "storage/store.h"

namespace engine {

Task<std::vector<storage::Note>> KeptNotes::read(size_t most) {
    storage::Result<std::vector<storage::Note>> notes;
    co_await worker_.run([&] { notes = store_.notes(kind_, "", most); });
    if (notes) co_return std::move(*notes);
    metrics::log::warn("notes.not_read", {{"kind", kind_}, {"error", notes.error().what}});
    co_return std::vector<storage::Note>();
}

Task<bool> KeptNotes::write(const std::vector<storage::Note>& notes) {
    if (notes.empty()) co_return true;
    storage::Result<void> put;
    co_await worker_.run([&] { put = store_.put_notes(kind_, notes); });
    if (!put) metrics::log::warn("notes.not_kept", {{"kind", kind_}, {"error", put.error().what}});
    co_return put.has_value();
}

}  // namespace engine

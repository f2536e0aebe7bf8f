#include "engine/delivery/host_notes.h"

#include <algorithm>

#include "engine/reactor/worker.h"
#include "metrics/log.h"
#include "storage/codec.h"
#include "storage/store.h"

namespace engine {

namespace {

constexpr std::string_view note_kind = "host";
constexpr uint8_t version = 1;
constexpr size_t read_max = 10 * HostMemory::hosts_max;  // all shards' hosts of three days

}  // namespace

std::string encode(const HostTraits& traits, Instant now, storage::WallTime wall) {
    storage::Writer writer;
    writer.byte(version);
    writer.byte(static_cast<uint8_t>(traits.reads_behind_content));
    writer.byte(static_cast<uint8_t>(traits.skips_refused_chunk));
    writer.byte(traits.chunks_fail ? 1 : 0);
    writer.byte(static_cast<uint8_t>(traits.depth_max));
    writer.varint(traits.messages_max);
    writer.varint(traits.recipients_max);
    writer.time(wall + std::chrono::floor<std::chrono::milliseconds>(traits.until - now));
    return writer.take();
}

std::optional<HostTraits> decode_host_traits(std::string_view bytes, Instant now,
                                             storage::WallTime wall) {
    storage::Reader reader(bytes);
    if (reader.byte() != version) return std::nullopt;
    HostTraits traits;
    traits.reads_behind_content = static_cast<HostTraits::Shown>(reader.below(3));
    traits.skips_refused_chunk = static_cast<HostTraits::Shown>(reader.below(3));
    traits.chunks_fail = reader.flag();
    traits.depth_max = static_cast<Depth>(reader.below(static_cast<uint8_t>(Depth::messages) + 1));
    traits.messages_max = reader.varint32();
    traits.recipients_max = reader.varint32();
    const storage::WallTime until = reader.time();
    if (!reader.finished() || until <= wall) return std::nullopt;
    // A clock that was set back must not keep it for ever.
    traits.until = now + std::min<Instant::duration>(until - wall, HostTraits::kept_for);
    return traits;
}

HostNotes::HostNotes(Parts parts) : parts_(parts), notes_(parts.worker, parts.store, note_kind) {}

Task<> HostNotes::recall() {
    const std::vector<storage::Note> notes = co_await notes_.read(read_max);
    for (const storage::Note& note : notes) {
        const auto traits = decode_host_traits(note.value, parts_.clock.now(), parts_.clock.wall());
        if (traits) parts_.memory.recall({note.name, *traits});
    }
}

Task<> HostNotes::save() {
    std::vector<storage::Note> notes;
    for (const HostMemory::Learned& learned : parts_.memory.changes())
        notes.push_back(
            {learned.host, encode(learned.traits, parts_.clock.now(), parts_.clock.wall())});
    (void)co_await notes_.write(notes);  // what is lost is learned again
}

Task<> HostNotes::forget() {
    const Instant now = parts_.clock.now();
    const storage::WallTime wall = parts_.clock.wall();
    co_await parts_.worker.run([&, &store = parts_.store] {
        auto notes = store.notes(note_kind, "", read_max);
        if (!notes) return;  // said by those who read and write
        std::erase_if(*notes, [&](const storage::Note& note) {
            return decode_host_traits(note.value, now, wall).has_value();
        });
        for (storage::Note& note : *notes) note.value.clear();
        if (notes->empty()) return;
        if (auto done = store.put_notes(note_kind, *notes); !done)
            metrics::log::warn("host_notes.not_dropped", {{"error", done.error().what}});
    });
}

}  // namespace engine

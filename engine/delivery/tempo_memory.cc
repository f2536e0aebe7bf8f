#include "engine/delivery/tempo_memory.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <vector>

#include "engine/delivery/site_budget.h"

namespace engine {

namespace {

constexpr std::string_view kind = "tempo";

/// A blank is in no source's name and in no site's.
std::string name_of(const std::string& source, const std::string& site) {
    return source + ' ' + site;
}

/// Three significant digits: a rate that creeps is no news.
double rounded(double rate) {
    if (rate <= 0) return 0;
    const double scale = std::pow(10, std::floor(std::log10(rate)) - 2);
    return std::round(rate / scale) * scale;
}

std::string text_of(const PathNotes& notes) {
    if (notes == PathNotes{}) return {};
    const Tempo::Learned& tempo = notes.tempo;
    return fmt::format("{:.6g} {:.6g} {} {} {}", tempo.rate, tempo.good, tempo.connections,
                       notes.sent.day, notes.sent.messages);
}

PathNotes parse(std::string_view text) {
    PathNotes notes;
    Tempo::Learned& learned = notes.tempo;
    const char* at = text.data();
    const char* const end = text.data() + text.size();
    const auto read = [&](auto& number) {
        while (at < end && *at == ' ') ++at;
        const auto result = std::from_chars(at, end, number);
        at = result.ptr;
        return result.ec == std::errc{};
    };
    const bool whole = read(learned.rate) && read(learned.good) && read(learned.connections) &&
                       read(notes.sent.day) && read(notes.sent.messages);
    const bool sane = learned.rate >= 0 && learned.rate < 1e9 && learned.good < 1e9;
    return whole && sane ? notes : PathNotes{};
}

}  // namespace

TempoMemory::TempoMemory(Worker& worker, storage::Store& store) : notes_(worker, store, kind) {}

Task<> TempoMemory::load() {
    // Every shard reads all of them and keeps what it asks for: sites move between shards when
    // their number changes.
    const std::vector<storage::Note> notes = co_await notes_.read(paths_max);
    for (const storage::Note& note : notes) {
        const PathNotes notes_of = parse(note.value);
        entries_.try_emplace(note.name, Entry{notes_of, notes_of});
    }
    loaded_ = true;
}

PathNotes TempoMemory::of(const std::string& source, const std::string& site) const {
    const auto found = entries_.find(name_of(source, site));
    return found == entries_.end() ? PathNotes{} : found->second.now;
}

void TempoMemory::note(const std::string& site, const SiteBudget& budget) {
    for (const auto& path : budget.paths()) {
        PathNotes learned = path->notes();
        learned.tempo.rate = rounded(learned.tempo.rate);
        learned.tempo.good = rounded(learned.tempo.good);
        // Most have learned nothing: no look-up for them, once a second.
        if (!path->noted && learned == PathNotes{}) continue;
        const std::string name = name_of(path->from->name, site);
        const auto found = entries_.find(name);
        if (found != entries_.end())
            found->second.now = learned;
        else if (learned != PathNotes{} && entries_.size() < paths_max)
            entries_.emplace(name, Entry{learned, {}});
        path->noted = learned != PathNotes{};
    }
}

Task<> TempoMemory::keep() {
    std::vector<storage::Note> notes;
    for (const auto& [name, entry] : entries_) {
        if (entry.now == entry.kept) continue;
        notes.push_back({name, text_of(entry.now)});
        if (notes.size() == KeptNotes::writes_max) break;
    }
    if (!co_await notes_.write(notes)) co_return;
    for (const storage::Note& note : notes) {
        const auto found = entries_.find(note.name);
        if (found == entries_.end()) continue;
        Entry& entry = found->second;
        entry.kept = parse(note.value);
        if (entry.kept == PathNotes{} && entry.now == entry.kept) entries_.erase(found);
    }
}

}  // namespace engine

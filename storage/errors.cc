#include "storage/errors.h"

#include <fmt/format.h>
#include <rocksdb/slice.h>

namespace storage {

Error error_of(const rocksdb::Status& status, std::string_view doing) {
    const std::string why = status.ToString();
    if (status.IsNoSpace())
        return {
            Errc::no_space,
            fmt::format("{}: {}; the disk is full: free or add space, writes go on by themselves",
                        doing, why)};
    if (status.IsCorruption())
        return {Errc::corruption,
                fmt::format(
                    "{}: {}; the file is damaged: check the disk, then let sluice fsck --repair "
                    "save what can be read and say what is lost, or restore a backup",
                    doing, why)};
    if (status.IsInvalidArgument() || status.IsNotSupported())
        return {Errc::invalid, fmt::format("{}: {}", doing, why)};
    return {Errc::io, fmt::format("{}: {}; check the disk and the system's log, then start again",
                                  doing, why)};
}

Error bad_record(std::string_view family, std::string_view key) {
    const std::string hex = rocksdb::Slice(key.data(), key.size()).ToString(true);
    return {
        Errc::corruption,
        fmt::format("record {} of family {} cannot be read: it is damaged, or a newer version of "
                    "sluice wrote it; start that version, or see what sluice fsck says",
                    hex, family)};
}

}  // namespace storage

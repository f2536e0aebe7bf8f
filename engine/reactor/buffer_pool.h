// Receive buffers that the kernel picks itself (a provided-buffer ring), so that a connection which
// waits for its peer holds no memory. They come in slabs: the pool starts small and grows to a
// named limit when all are in use.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/reactor/result.h"

namespace engine {

class BufferPool {
  public:
    static constexpr uint16_t group = 0;
    static constexpr uint32_t count_limit = 32768;  // the kernel's: buffer ids are 15 bits here

    BufferPool() = default;
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;
    ~BufferPool();

    struct Size {
        uint32_t count = 0;  // at start, and the size of a slab
        uint32_t count_max = 0;
        uint32_t bytes = 0;  // of one buffer
    };
    /// Before the ring is enabled. The kernel reads the ring's memory, so the pool must outlive
    /// `ring`.
    Result<void> open(io_uring& ring, Size size);

    std::string_view bytes(uint16_t buffer, uint32_t size) const { return {address(buffer), size}; }
    void take(uint16_t buffer);  // the kernel filled it and told us
    void give(uint16_t buffer);  // back to the kernel
    bool grow();                 // false when the limit is reached
    uint32_t free() const { return free_; }
    uint32_t total() const { return total_; }
    uint32_t buffer_bytes() const { return size_.bytes; }

  private:
    char* address(uint16_t buffer) const;
    void provide(uint16_t buffer);

    Size size_;
    io_uring_buf_ring* ring_ = nullptr;
    size_t ring_bytes_ = 0;
    int mask_ = 0;
    uint32_t total_ = 0;
    uint32_t free_ =
        0;  // as far as we have been told; the kernel may have filled some of them already
    std::vector<std::unique_ptr<char[]>> slabs_;
    std::vector<bool> taken_;
};

}  // namespace engine

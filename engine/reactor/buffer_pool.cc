#include "engine/reactor/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "metrics/check.h"

namespace engine {

BufferPool::~BufferPool() {
    if (ring_ != nullptr) munmap(ring_, ring_bytes_);
}

Result<void> BufferPool::open(io_uring& ring, Size size) {
    size.count_max = std::min(std::max(size.count, size.count_max), count_limit);
    CHECK(size.count > 0 && size.count <= count_limit && size.bytes > 0,
          "a buffer pool of nothing");
    size_ = size;
    const uint32_t entries = std::bit_ceil(size.count_max);
    ring_bytes_ = entries * sizeof(io_uring_buf);
    void* memory =
        mmap(nullptr, ring_bytes_, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (memory == MAP_FAILED) return std::unexpected(error_of(-errno, "mmap of the buffer ring"));
    ring_ = static_cast<io_uring_buf_ring*>(memory);
    io_uring_buf_ring_init(ring_);
    mask_ = io_uring_buf_ring_mask(entries);

    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uint64_t>(memory);
    registration.ring_entries = entries;
    registration.bgid = group;
    if (const int rc = io_uring_register_buf_ring(&ring, &registration, 0); rc < 0) {
        return std::unexpected(error_of(rc, "io_uring_register_buf_ring"));
    }
    grow();
    return {};
}

void BufferPool::take(uint16_t buffer) {
    CHECK(buffer < total_ && !taken_[buffer], "the kernel filled a buffer that it did not own");
    taken_[buffer] = true;
    --free_;
}

void BufferPool::give(uint16_t buffer) {
    CHECK(buffer < total_ && taken_[buffer], "a receive buffer was released twice");
    taken_[buffer] = false;
    provide(buffer);
}

bool BufferPool::grow() {
    const uint32_t more = std::min(size_.count, size_.count_max - total_);
    if (more == 0) return false;
    // Not zeroed: pages that no message ever needs stay untouched.
    slabs_.push_back(
        std::make_unique_for_overwrite<char[]>(static_cast<size_t>(size_.count) * size_.bytes));
    taken_.resize(total_ + more);
    for (uint32_t i = 0; i < more; ++i) provide(static_cast<uint16_t>(total_ + i));
    total_ += more;
    return true;
}

char* BufferPool::address(uint16_t buffer) const {
    return slabs_[buffer / size_.count].get() +
           static_cast<size_t>(buffer % size_.count) * size_.bytes;
}

void BufferPool::provide(uint16_t buffer) {
    io_uring_buf_ring_add(ring_, address(buffer), size_.bytes, buffer, mask_, 0);
    io_uring_buf_ring_advance(ring_, 1);
    ++free_;
}

}  // namespace engine

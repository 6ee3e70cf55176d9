#include "cpu/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "bitaxon/error.h"
#include "core/align.h"

namespace bitaxon::cpu {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

#ifdef BX_PIECES_APART
constexpr std::size_t kChunk = 0;  // AddressSanitizer checks the ends of every allocation
#else
constexpr std::size_t kChunk = std::size_t{64} << 20;  // the unused rest takes no physical memory
#endif

/// Returns nullptr when memory is short.
std::shared_ptr<std::byte> try_to_take(std::size_t size_bytes) {
  const bool large = size_bytes >= kHugePage;
  const std::size_t rounded = align_up(std::max(size_bytes, kAlignment), kAlignment);
  void* memory = nullptr;
  if (posix_memalign(&memory, large ? kHugePage : kAlignment, rounded) != 0) return nullptr;
  // This is only advice: small pages hold the same data.
  if (large) madvise(memory, rounded, MADV_HUGEPAGE);
  return {static_cast<std::byte*>(memory), [](std::byte* p) { std::free(p); }};
}

std::shared_ptr<std::byte> take(std::size_t size_bytes, std::string_view what) {
  std::shared_ptr<std::byte> memory = try_to_take(size_bytes);
  if (memory == nullptr)
    throw Error(ErrorKind::device,
                fmt::format("cpu: not enough memory for {} bytes of {}", size_bytes, what));
  return memory;
}

/// Sub-allocates from one block of memory, front to back.
class Chunk {
 public:
  std::shared_ptr<std::byte> allocate(std::size_t size_bytes, std::string_view what) {
    const std::size_t rounded = align_up(std::max(size_bytes, kAlignment), kAlignment);
    if (rounded >= kChunk) return take(size_bytes, what);
    const std::lock_guard lock(mutex_);
    std::shared_ptr<std::byte> chunk = chunk_.lock();
    if (chunk == nullptr || kChunk - used_ < rounded) {
      chunk = try_to_take(kChunk);
      // Under a limit on address space, a small allocation may still succeed.
      if (chunk == nullptr) return take(size_bytes, what);
      chunk_ = chunk;
      used_ = 0;
    }
    std::byte* piece = chunk.get() + used_;
    used_ += rounded;
    return {std::move(chunk), piece};
  }

 private:
  std::mutex mutex_;
  std::weak_ptr<std::byte> chunk_;  ///< its sub-allocations keep it alive
  std::size_t used_ = 0;
};

}  // namespace

std::shared_ptr<std::byte> allocate_aligned(std::size_t size_bytes, std::string_view what) {
  return take(size_bytes, what);
}

std::shared_ptr<std::byte> allocate_lasting(std::size_t size_bytes, std::string_view what) {
  static Chunk chunk;
  return chunk.allocate(size_bytes, what);
}

}  // namespace bitaxon::cpu

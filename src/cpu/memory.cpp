#include "cpu/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "bitaxon/error.h"
#include "core/align.h"
#include "platform/counted_memory.h"

namespace bitaxon::cpu {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

#ifdef BX_PIECES_APART
constexpr std::size_t kChunk = 0;  // no chunks, so that AddressSanitizer sees each allocation
#else
// The size of a chunk. Its unused rest takes no physical memory.
constexpr std::size_t kChunk = std::size_t{64} << 20;
#endif

/// Allocates aligned memory. Returns nullptr if memory is short.
std::shared_ptr<std::byte> try_to_take(std::size_t size_bytes) {
  const bool large = size_bytes >= kHugePage;
  const std::size_t rounded = align_up(std::max(size_bytes, kAlignment), kAlignment);
  void* memory = nullptr;
  if (posix_memalign(&memory, large ? kHugePage : kAlignment, rounded) != 0) return nullptr;
  // An error is ignored, because small pages also work.
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

/// Places small allocations one after the other in a chunk of memory. When the chunk is full,
/// begins a new chunk.
class Chunk {
 public:
  std::shared_ptr<std::byte> allocate(std::size_t size_bytes, std::string_view what) {
    const std::size_t rounded = align_up(std::max(size_bytes, kAlignment), kAlignment);
    if (rounded >= kChunk) return take(size_bytes, what);
    const std::lock_guard lock(mutex_);
    std::shared_ptr<std::byte> chunk = chunk_.lock();
    if (chunk == nullptr || kChunk - used_ < rounded) {
      chunk = try_to_take(kChunk);
      // Even if there is no address space for a chunk, the small allocation may succeed.
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
  std::weak_ptr<std::byte> chunk_;  ///< the allocations in the chunk keep it alive
  std::size_t used_ = 0;
};

/// The same memory, which counts as held by the backends until the last handle is gone.
std::shared_ptr<std::byte> counted(std::shared_ptr<std::byte> memory, std::size_t size_bytes) {
  const auto n = static_cast<std::int64_t>(size_bytes);
  std::byte* const first = memory.get();
  count_backend_bytes(n);
  return {first, [memory = std::move(memory), n](std::byte*) { count_backend_bytes(-n); }};
}

}  // namespace

std::shared_ptr<std::byte> allocate_aligned(std::size_t size_bytes, std::string_view what) {
  return counted(take(size_bytes, what), size_bytes);
}

std::shared_ptr<std::byte> allocate_lasting(std::size_t size_bytes, std::string_view what) {
  static Chunk chunk;
  return counted(chunk.allocate(size_bytes, what), size_bytes);
}

}  // namespace bitaxon::cpu

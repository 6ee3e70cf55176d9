#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "cpu/memory.h"
#include "platform/counted_memory.h"
#include "platform/system_files.h"

namespace bitaxon::cpu {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

/// Limits the address space to its current size plus `more` bytes, as `ulimit -v` does.
void limit_address_space(std::size_t more) {
  const std::uint64_t used = number_of("/proc/self/status", "VmSize").value() * 1024;
  const rlimit limit{used + more, used + more};
  if (::setrlimit(RLIMIT_AS, &limit) != 0) ::_exit(2);
}

/// Small allocations usually share a larger chunk of memory. If there is not enough memory for a
/// chunk, a small allocation must still succeed.
TEST(CpuMemoryDeathTest, ASmallAllocationDoesNotNeedAWholeChunk) {
  EXPECT_EXIT(
      {
        limit_address_space(40 * kMiB);
        std::shared_ptr<std::byte> piece = allocate_lasting(kMiB, "a piece");
        std::fill_n(piece.get(), kMiB, std::byte{1});
        ::_exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(CpuMemory, CountsWhatIsHeldAndItsPeak) {
  const std::uint64_t before = backend_bytes();
  {
    const auto weights = allocate_lasting(3 * kMiB, "weights");
    const auto more_weights = allocate_lasting(100, "more weights");
    const auto state = allocate_aligned(2 * kMiB, "state");
    EXPECT_EQ(backend_bytes() - before, 5 * kMiB + 100);
  }
  EXPECT_EQ(backend_bytes(), before);
  EXPECT_GE(peak_backend_bytes() - before, 5 * kMiB + 100);
  reset_peak_backend_bytes();
  EXPECT_EQ(peak_backend_bytes(), before);
}

}  // namespace
}  // namespace bitaxon::cpu

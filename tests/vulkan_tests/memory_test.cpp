// Tests of allocation, upload, download and copies.
#include "vulkan/memory/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "cases/op_harness.h"
#include "support/backends.h"
#include "support/errors.h"
#include "vulkan/device/failure.h"
#include "vulkan/memory/transfer.h"
#include "vulkan_tests/test_gpu.h"

namespace bitaxon::test {
namespace {

using vulkan::DeviceBuffer;
using vulkan::MemoryAllocator;
using vulkan::MemoryPurpose;

std::vector<std::byte> some_bytes(std::size_t n) {
  Random random("bytes");
  std::vector<std::byte> bytes(n);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
  return bytes;
}

class Memory : public testing::Test {
 protected:
  std::shared_ptr<DeviceBuffer> allocate(std::size_t size_bytes) {
    return memory_.allocate(size_bytes, MemoryPurpose::weights, "test");
  }
  TestGpu gpu_;
  MemoryAllocator memory_{gpu_.device()};
};

TEST_F(Memory, BuffersAreLargeEnoughAndAligned) {
  for (const std::size_t size : {0UL, 1UL, 255UL, 256UL, 257UL, 100000UL}) {
    const auto buffer = allocate(size);
    EXPECT_NE(buffer->handle(), VkBuffer{});
    EXPECT_GE(buffer->size_bytes(), std::max<std::size_t>(size, 1));
    EXPECT_EQ(buffer->size_bytes() % 256, 0U);
    EXPECT_NE(buffer->address(), 0U);
    EXPECT_EQ(buffer->address() % 16, 0U);
  }
}

TEST_F(Memory, LiveBuffersDoNotOverlap) {
  Random random("sizes");
  std::vector<std::shared_ptr<DeviceBuffer>> buffers;
  std::map<VkDeviceAddress, std::size_t> living;
  for (int i = 0; i < 2000; ++i) {
    if (!buffers.empty() && random.below(3) == 0) {
      const auto victim = buffers.begin() + random.below(std::ssize(buffers));
      living.erase((*victim)->address());
      buffers.erase(victim);
      continue;
    }
    buffers.push_back(allocate(static_cast<std::size_t>(random.below(100'000))));
    const auto place =
        living.emplace(buffers.back()->address(), buffers.back()->size_bytes()).first;
    if (place != living.begin()) {
      const auto before = std::prev(place);
      EXPECT_LE(before->first + before->second, place->first);
    }
    if (std::next(place) != living.end()) {
      EXPECT_LE(place->first + place->second, std::next(place)->first);
    }
  }
}

TEST_F(Memory, ReusesFreedRanges) {
  const auto keep = allocate(4096);  // keeps the memory block allocated
  auto first = allocate(1 << 20);
  auto second = allocate(1 << 20);
  const auto third = allocate(1 << 20);
  const VkDeviceAddress place = first->address();
  first.reset();
  second.reset();
  EXPECT_EQ(allocate(2 << 20)->address(), place) << "the neighboring ranges were not joined";
}

TEST_F(Memory, CountsUsedBytes) {
  EXPECT_EQ(memory_.used_bytes(MemoryPurpose::weights), 0U);
  auto buffer = allocate(1'000'000);
  EXPECT_GE(memory_.used_bytes(MemoryPurpose::weights), 1'000'000U);
  EXPECT_LT(memory_.used_bytes(MemoryPurpose::weights), 1'100'000U);
  EXPECT_EQ(memory_.used_bytes(MemoryPurpose::state), 0U);
  buffer.reset();
  EXPECT_EQ(memory_.used_bytes(MemoryPurpose::weights), 0U);
}

TEST_F(Memory, NamesABufferBeyondTheLimit) {
  const std::uint64_t limit = gpu_.device().caps().max_buffer_bytes;
  expect_error([&] { allocate(limit + 1); }, ErrorKind::device, {"test", "largest buffer"});
}

TEST_F(Memory, DownloadsWhatWasUploaded) {
  vulkan::Failure failure;
  vulkan::Transfer transfer(gpu_.device(), memory_, failure);
  const auto from = some_bytes(100'001);
  const auto buffer = allocate(300'000);
  transfer.upload(*buffer, 4096, from.size(), [&](std::size_t at, std::span<std::byte> to) {
    std::memcpy(to.data(), from.data() + at, to.size());
  });
  std::vector<std::byte> back(from.size());
  transfer.download(*buffer, 4096, back);
  EXPECT_EQ(back, from);
}

/// A device whose memory the host cannot map, so that transfers go through a staging buffer.
class Staged : public testing::Test {
 protected:
  TestGpu gpu_{like_discrete()};
  MemoryAllocator memory_{gpu_.device()};
  vulkan::Failure failure_;
  vulkan::Transfer transfer_{gpu_.device(), memory_, failure_};
};

/// The staging buffer has two halves of 16 MiB each. The sizes fill a part of one half, exactly one
/// half, one half and a part of the other, and several halves.
TEST_F(Staged, DownloadsUploadsOfAnySize) {
  constexpr std::size_t kHalf = std::size_t{16} << 20;
  const auto bytes = some_bytes(3 * kHalf + 16);
  const auto buffer = memory_.allocate(4 * kHalf, MemoryPurpose::weights, "test");
  ASSERT_EQ(buffer->mapped(), nullptr);
  for (const std::size_t size :
       {std::size_t{4}, kHalf - 4, kHalf, kHalf + 4, 2 * kHalf, 2 * kHalf + 4, bytes.size()}) {
    SCOPED_TRACE(size);
    std::size_t largest = 0;
    // Each size uses other bytes. If a download returned the bytes of the previous upload, the test
    // would fail.
    const auto from = std::span(bytes).last(size);
    transfer_.upload(*buffer, 256, size, [&](std::size_t at, std::span<std::byte> to) {
      EXPECT_EQ(at % 16, 0U);
      largest = std::max(largest, to.size());
      std::memcpy(to.data(), from.data() + at, to.size());
    });
    EXPECT_LE(largest, kHalf);
    std::vector<std::byte> back(size);
    transfer_.download(*buffer, 256, back);
    EXPECT_TRUE(std::ranges::equal(back, from));
  }
}

TEST_F(Staged, WritesOnlyTheUploadedRange) {
  const auto buffer = memory_.allocate(1024, MemoryPurpose::state, "test");
  const auto fill = [&](std::size_t offset, std::size_t size, std::byte value) {
    transfer_.upload(*buffer, offset, size,
                     [&](std::size_t, std::span<std::byte> to) { std::ranges::fill(to, value); });
  };
  fill(0, 1024, std::byte{1});
  fill(16, 20, std::byte{2});
  fill(512, 0, std::byte{3});
  std::vector<std::byte> back(1024);
  transfer_.download(*buffer, 0, back);
  for (std::size_t i = 0; i < back.size(); ++i)
    EXPECT_EQ(back[i], i >= 16 && i < 36 ? std::byte{2} : std::byte{1}) << i;
}

TEST_F(Staged, CopiesBetweenBuffers) {
  const auto from = memory_.allocate(4096, MemoryPurpose::state, "from");
  const auto to = memory_.allocate(4096, MemoryPurpose::state, "to");
  const auto bytes = some_bytes(4096);
  const auto upload = [&](const DeviceBuffer& buffer, std::span<const std::byte> all) {
    transfer_.upload(buffer, 0, all.size(), [&](std::size_t at, std::span<std::byte> part) {
      std::memcpy(part.data(), all.data() + at, part.size());
    });
  };
  upload(*from, bytes);
  upload(*to, std::vector<std::byte>(4096));
  transfer_.copy(*from, 128, *to, 1024, 260);
  transfer_.copy(*from, 0, *to, 0, 0);
  std::vector<std::byte> expected(4096), back(4096);
  std::copy_n(bytes.begin() + 128, 260, expected.begin() + 1024);
  transfer_.download(*to, 0, back);
  EXPECT_EQ(back, expected);
}

/// Runs every op on a backend whose device looks like a discrete GPU: the host cannot map its
/// memory.
TEST(Discrete, EveryOpAgreesWithTheReference) {
  const auto backend = vulkan::open_vulkan_backend(like_discrete());
  for (const OpCases& cases : every_op_case()) {
    const OpCase& op_case = cases.cases.front();
    SCOPED_TRACE(cases.op);
    const OpProblem problem = problem_of(cases.op, op_case);
    const OpRun run = run_op(*backend, problem);
    EXPECT_EQ(run.violations, std::vector<std::string>());
    EXPECT_EQ(differences(run, expected_run(reference_backend(), problem), op_case.tolerance),
              std::vector<std::string>());
  }
}

}  // namespace
}  // namespace bitaxon::test

// Tests of what a device's capabilities alone tell about the device.
#include "vulkan/description.h"

#include <gtest/gtest.h>

#include "core/state_layout.h"
#include "fabricated.h"
#include "platform/host_memory.h"
#include "support/default_model.h"
#include "vulkan/memory/memory.h"

namespace bitaxon::vulkan::test {
namespace {

using bitaxon::test::expect_packed_like_stored;
using bitaxon::test::found_in;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
constexpr std::uint64_t kBlock = 64 * kMiB;

constexpr VkMemoryPropertyFlags kDevice = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
constexpr VkMemoryPropertyFlags kHost =
    VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;

DeviceCaps with_memory(DeviceType type, std::vector<MemoryHeap> heaps,
                       std::vector<MemoryType> types) {
  DeviceCaps caps = plain_device(0, type);
  caps.subgroup_size = caps.min_subgroup_size = caps.max_subgroup_size = 32;
  caps.max_storage_buffer_bytes = caps.max_buffer_bytes = caps.max_allocation_bytes = 4 * kGiB;
  caps.heaps = std::move(heaps);
  caps.memory_types = std::move(types);
  return caps;
}

/// A discrete GPU with 8 GiB of memory. The host can map 256 MiB of this memory.
DeviceCaps discrete() {
  return with_memory(
      DeviceType::discrete,
      {{8 * kGiB, 5 * kGiB, true}, {16 * kGiB, 9 * kGiB, false}, {256 * kMiB, 200 * kMiB, true}},
      {{1, 0}, {0, kDevice}, {1, kHost}, {1, kHost | kCached}, {2, kDevice | kHost}});
}

std::vector<MemoryKind> memory_of(const DeviceCaps& caps) {
  return describe_device(caps)->memory();
}

TEST(VulkanDescription, ReportsTheMemoryOfADiscreteGpu) {
  const auto memory = memory_of(discrete());
  ASSERT_EQ(memory.size(), 2u);
  EXPECT_EQ(memory[0].name, "device memory");
  EXPECT_EQ(memory[0].available_bytes, 5 * kGiB);
  EXPECT_EQ(memory[0].backend_bytes, 0u) << "step buffers use the mappable window";
  EXPECT_EQ(memory[1].name, "system memory");
  ASSERT_TRUE(memory[1].available_bytes.has_value());
  EXPECT_LE(*memory[1].available_bytes, total_memory_bytes());
  EXPECT_EQ(memory[1].backend_bytes, 2 * kBlock) << "one block for staging, one for readback";
  EXPECT_EQ(describe_device(discrete())->max_buffer_bytes(), 4 * kGiB);
}

TEST(VulkanDescription, ReportsADiscreteGpuWhoseMemoryTheHostCanMap) {
  DeviceCaps caps = discrete();
  caps.memory_types[4].heap = 0;
  const auto memory = memory_of(caps);
  EXPECT_EQ(memory[0].available_bytes, 5 * kGiB);
  EXPECT_EQ(memory[0].backend_bytes, 0u) << "steps and weights share a memory type";
  EXPECT_EQ(memory[1].backend_bytes, kBlock) << "readback";
}

TEST(VulkanDescription, ReportsTheMemoryOfAnIntegratedGpu) {
  const DeviceCaps caps = with_memory(DeviceType::integrated, {{12 * kGiB, 7 * kGiB, true}},
                                      {{0, kDevice | kHost}, {0, kDevice | kHost | kCached}});
  const auto memory = memory_of(caps);
  ASSERT_EQ(memory.size(), 2u);
  EXPECT_EQ(memory[0].available_bytes, 7 * kGiB);
  EXPECT_EQ(memory[0].backend_bytes, kBlock);
  EXPECT_EQ(memory[1].backend_bytes, 0u);
}

TEST(VulkanDescription, ReportsSystemMemoryForACpuDevice) {
  const auto memory = memory_of(
      with_memory(DeviceType::cpu, {{2 * kGiB, 3 * kGiB, true}}, {{0, kDevice | kHost | kCached}}));
  ASSERT_EQ(memory.size(), 1u);
  EXPECT_EQ(memory[0].name, "system memory");
  EXPECT_EQ(memory[0].available_bytes, 3 * kGiB) << "not the nominal size";
}

TEST(VulkanDescription, ReportsADeviceWithoutMemory) {
  const auto memory = memory_of(with_memory(DeviceType::discrete, {}, {}));
  ASSERT_EQ(memory.size(), 1u);
  EXPECT_EQ(memory[0].available_bytes, 0u);
}

TEST(VulkanDescription, CountsTheBlocksThatAllocationsTake) {
  const DeviceCaps caps = discrete();
  const auto allocated = [&](std::vector<std::uint64_t> sizes) {
    return allocated_bytes(caps, sizes);
  };
  EXPECT_EQ(allocated({}), 0u);
  EXPECT_EQ(allocated({0}), kBlock);
  EXPECT_EQ(allocated({1, 32 * kMiB}), kBlock);
  EXPECT_EQ(allocated({32 * kMiB, 32 * kMiB, 1}), 2 * kBlock);
  EXPECT_EQ(allocated({32 * kMiB, 31 * kMiB, 2 * kMiB, kMiB}), 2 * kBlock);
  EXPECT_EQ(allocated({33 * kMiB + 1}), 33 * kMiB + 256) << "a block of its own";
  EXPECT_EQ(allocated({kGiB, 1, kGiB}), 2 * kGiB + kBlock);
}

TEST(VulkanDescription, PackedWeightsTakeNoMoreThanStoredOnes) {
  expect_packed_like_stored(*describe_device(discrete()));
}

/// Tests the default configuration in 4 bits. Rounding up to whole blocks must waste little memory.
TEST(VulkanDescription, TheDefaultModelFits) {
  const auto found = found_in(BitAxonConfig{}, WeightFormat::affine, false);
  const MemoryNeed need =
      model_need(BitAxonConfig{}.spec(), found, {}, *describe_device(discrete())).memory;
  EXPECT_TRUE(need.fits()) << problem_of(need);
  std::uint64_t stored = 0;
  for (const FoundWeight& weight : found) stored += weight.source.desc.stored_bytes();
  EXPECT_GT(need.rows[0].needed_bytes(), stored);
  for (const MemoryRow::Part& part : need.rows[0].parts) {
    if (part.purpose != "rounding") continue;
    EXPECT_LT(part.bytes, stored / 20);
  }
  DeviceCaps small = discrete();
  small.heaps[0].available_bytes = stored;
  EXPECT_FALSE(
      model_need(BitAxonConfig{}.spec(), found, {}, *describe_device(small)).memory.fits());
}

TEST(VulkanDescription, NamesATensorAboveALimit) {
  DeviceCaps caps = discrete();
  caps.max_allocation_bytes = 32 * kMiB;
  const auto found = found_in(BitAxonConfig{}, WeightFormat::affine, false);
  const MemoryNeed need =
      model_need(BitAxonConfig{}.spec(), found, {}, *describe_device(caps)).memory;
  EXPECT_FALSE(need.fits());
  EXPECT_NE(need.too_large.find("embed_tokens.weight takes"), std::string::npos) << need.too_large;
  EXPECT_NE(need.too_large.find("32.00 MiB"), std::string::npos) << need.too_large;
}

TEST(VulkanDescription, NamesAStateTensorThatCannotBeBound) {
  DeviceCaps caps = discrete();
  caps.max_storage_buffer_bytes = 4096;
  StateTensor tensor;
  tensor.name = "layer_3.keys";
  tensor.size_bytes = 8192;
  EXPECT_EQ(describe_device(caps)->problem_of(tensor),
            "layer_3.keys takes 8.00 KiB, the largest binding is of 4.00 KiB");
  tensor.size_bytes = 4096;
  EXPECT_EQ(describe_device(caps)->problem_of(tensor), "");
}

}  // namespace
}  // namespace bitaxon::vulkan::test

// Tests that a model that does not fit a device is refused before it is loaded, and that other
// models take at most the announced memory.
#include "model/memory_need.h"

#include <gtest/gtest.h>

#include <map>

#include "core/step.h"
#include "model/random_weights.h"
#include "support/errors.h"
#include "support/memory_watch.h"
#include "support/small_models.h"
#include "test_device.h"
#include "vulkan/device/device_caps.h"

namespace bitaxon::test {
namespace {

using vulkan::DeviceCaps;
using vulkan::Functions;

/// The live memory allocations of the driver and their sizes.
std::map<VkDeviceMemory, std::uint64_t> given;
PFN_vkAllocateMemory real_allocate = nullptr;
PFN_vkFreeMemory real_free = nullptr;

VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice device, const VkMemoryAllocateInfo* info,
                                        const VkAllocationCallbacks* callbacks,
                                        VkDeviceMemory* memory) {
  const VkResult result = real_allocate(device, info, callbacks, memory);
  if (result == VK_SUCCESS) given[*memory] = info->allocationSize;
  return result;
}

VKAPI_ATTR void VKAPI_CALL free_memory(VkDevice device, VkDeviceMemory memory,
                                       const VkAllocationCallbacks* callbacks) {
  given.erase(memory);
  real_free(device, memory, callbacks);
}

void watch_memory(Functions& functions) {
  if (functions.vkAllocateMemory == nullptr || functions.vkAllocateMemory == allocate) return;
  real_allocate = functions.vkAllocateMemory;
  real_free = functions.vkFreeMemory;
  functions.vkAllocateMemory = allocate;
  functions.vkFreeMemory = free_memory;
}

std::uint64_t given_bytes() {
  std::uint64_t sum = 0;
  for (const auto& [memory, bytes] : given) sum += bytes;
  return sum;
}

std::shared_ptr<Backend> open_limited(const std::function<void(DeviceCaps&)>& limit) {
  vulkan::VulkanOptions options = test_options();
  options.hook = watch_memory;
  options.limit_caps = limit;
  return vulkan::open_vulkan_backend(options);
}

MemoryNeed need_on(const Backend& backend, const BitAxonConfig& config) {
  return model_need(config.spec(), random_found(config.spec()), {}, *backend.description()).memory;
}

TEST(VulkanMemory, RefusesMoreElementsThanShadersCanCount) {
  BitAxonConfig config = small_config();
  config.moe_num_experts = 512;
  config.hidden_dim = 8192;
  config.num_heads = 64;
  config.moe_intermediate_dim = 1024;  // each stack of experts has 2^32 elements
  const MemoryNeed need = need_on(vulkan_backend(), config);
  EXPECT_NE(need.too_large, "");
  EXPECT_FALSE(need.rows.empty());
  config.moe_num_experts = 2;
  EXPECT_EQ(need_on(vulkan_backend(), config).too_large.find("elements"), std::string::npos);
  const std::byte none{};
  WeightDesc desc{.name = "stack", .format = WeightFormat::affine, .n_matrices = 384};
  desc.rows = 2048;
  desc.cols = 7168;
  desc.group_size = 64;
  expect_error(
      [&] {
        vulkan_backend().pack(desc, {.data = {&none, 1}});
      },
      ErrorKind::unsupported, {"\"stack\"", "4294967295"});
}

TEST(VulkanMemory, RefusesAModelThatDoesNotFitBeforeLoading) {
  std::uint64_t available = UINT64_MAX;
  const auto backend = open_limited([&](DeviceCaps& caps) {
    for (vulkan::MemoryHeap& heap : caps.heaps)
      heap.available_bytes = std::min(heap.available_bytes, available);
  });
  const std::uint64_t needed = need_on(*backend, small_config()).rows[0].needed_bytes();
  const std::uint64_t before = given_bytes();
  available = needed - 1;
  expect_error([&] { Model::random(backend, small_config().spec(), 1, {}); }, ErrorKind::device,
               {"vulkan", "does not fit", "memory", "available"});
  EXPECT_EQ(given_bytes(), before);
  // Takes effect immediately, because each load asks how much memory is available.
  available = needed;
  Model::random(backend, small_config().spec(), 1, {});
}

TEST(VulkanMemory, RefusesATensorAboveALimitBeforeLoading) {
  const auto small_buffers =
      open_limited([](DeviceCaps& caps) { caps.max_allocation_bytes = std::uint64_t{1} << 20; });
  const std::uint64_t before = given_bytes();
  expect_error([&] { Model::random(small_buffers, loading_config().spec(), 1, {}); },
               ErrorKind::device, {"embed_tokens.weight", "1.00 MiB", "buffer"});
  EXPECT_EQ(given_bytes(), before);
}

TEST(VulkanMemory, LoadingAndRunningTakeAtMostTheAnnouncedMemory) {
  const auto backend = open_limited({});
  const std::uint64_t before = given_bytes();
  std::uint64_t announced = 0;
  for (const MemoryRow& row : need_on(*backend, small_config()).rows)
    for (const MemoryRow::Part& part : row.parts)
      if (part.purpose != "loading") announced += part.bytes;
  Model model = Model::random(backend, small_config().spec(), 1, {});
  State state = model.new_state();
  SamplerParams sampler;
  sampler.repetition_penalty = 1.1;
  model.wait(
      model.feed(state, random_ids(600, small_config().vocab_size, 1), StepOutput::token, sampler));
  const SegmentInput feed_back{&state, {}, sampler};
  model.wait(model.submit({&feed_back, 1}));
  EXPECT_GT(given_bytes(), before);
  EXPECT_LE(given_bytes() - before, announced);
}

TEST(VulkanMemory, AnnouncesTheBlocksOfALargerModel) {
  const auto backend = open_limited({});
  const std::uint64_t before = given_bytes();
  const MemoryNeed need = need_on(*backend, loading_config());
  const Model model = Model::random(backend, loading_config().spec(), 1, {});
  const std::uint64_t taken = given_bytes() - before;
  std::uint64_t of_device = 0, staging = 0, at_once = 0;
  for (const MemoryRow& row : need.rows)
    for (const MemoryRow::Part& part : row.parts) {
      if (part.purpose == "staging") staging += part.bytes;
      if (part.purpose == "weights" || part.purpose == "activations") at_once += part.bytes;
      if (part.purpose != "staging" && part.purpose != "loading") of_device += part.bytes;
    }
  EXPECT_LE(taken, of_device + staging);
  EXPECT_GE(taken, at_once);  // keys and values take their memory later
}

}  // namespace
}  // namespace bitaxon::test

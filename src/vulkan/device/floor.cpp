#include "vulkan/device/floor.h"

#include <fmt/format.h>

namespace bitaxon::vulkan {
namespace {

struct SubgroupOperation {
  VkSubgroupFeatureFlagBits bit;
  std::string_view name;
};
constexpr SubgroupOperation kSubgroupOperations[] = {
    {VK_SUBGROUP_FEATURE_BASIC_BIT, "basic"},
    {VK_SUBGROUP_FEATURE_VOTE_BIT, "vote"},
    {VK_SUBGROUP_FEATURE_ARITHMETIC_BIT, "arithmetic"},
    {VK_SUBGROUP_FEATURE_SHUFFLE_BIT, "shuffle"},
};

}  // namespace

std::vector<std::string> missing_of(const DeviceCaps& caps) {
  // Below version 1.2, the other features and limits have not been queried.
  if (caps.api_version < VK_API_VERSION_1_2)
    return {fmt::format("Vulkan 1.2 (has {})", version_text(caps.api_version))};
  std::vector<std::string> missing;
  const auto need = [&](bool there, std::string_view what) {
    if (!there) missing.emplace_back(what);
  };
  const auto need_at_least = [&](std::string_view limit, std::uint32_t value,
                                 std::uint32_t needed) {
    if (value < needed) missing.push_back(fmt::format("{} {} (has {})", limit, needed, value));
  };
  need(caps.compute_queue_family >= 0, "a compute queue");
  need(caps.buffer_device_address, "bufferDeviceAddress");
  need(caps.timeline_semaphore, "timelineSemaphore");
  need(caps.synchronization2, "synchronization2");
  need(caps.scalar_block_layout, "scalarBlockLayout");
  for (const auto& [bit, name] : kSubgroupOperations)
    need((caps.subgroup_operations & static_cast<VkSubgroupFeatureFlags>(bit)) != 0,
         fmt::format("subgroup {} operations in compute shaders", name));
  need_at_least("maxPerStageDescriptorStorageBuffers", caps.max_storage_buffers, kMaxBindings);
  need_at_least("maxPushConstantsSize", caps.max_push_bytes, kMaxPushBytes);
  need_at_least("maxComputeWorkGroupInvocations", caps.max_group_invocations, kMinGroupInvocations);
  need_at_least("maxComputeWorkGroupSize[0]", caps.max_group_size[0], kMinGroupInvocations);
  need_at_least("maxComputeSharedMemorySize", caps.max_shared_bytes, kMinSharedBytes);
  return missing;
}

}  // namespace bitaxon::vulkan

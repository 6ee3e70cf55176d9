#include "split_memory.h"

#include "vulkan/device/device_caps.h"

namespace bitaxon::vulkan::test {
namespace {

std::uint32_t n_types = 0;  ///< number of memory types that the driver has; 0: not known yet
FunctionsHook inner_hook = nullptr;
PFN_vkGetBufferMemoryRequirements2 real_requirements = nullptr;
PFN_vkAllocateMemory real_allocate = nullptr;

VKAPI_ATTR void VKAPI_CALL requirements(VkDevice device,
                                        const VkBufferMemoryRequirementsInfo2* info,
                                        VkMemoryRequirements2* needed) {
  real_requirements(device, info, needed);
  std::uint32_t& types = needed->memoryRequirements.memoryTypeBits;
  types |= types << n_types;
}

VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice device, const VkMemoryAllocateInfo* info,
                                        const VkAllocationCallbacks* callbacks,
                                        VkDeviceMemory* memory) {
  VkMemoryAllocateInfo real_info = *info;
  real_info.memoryTypeIndex %= n_types;
  return real_allocate(device, &real_info, callbacks, memory);
}

void hook(Functions& functions) {
  inner_hook(functions);
  if (functions.vkAllocateMemory == nullptr || functions.vkAllocateMemory == allocate) return;
  real_requirements = functions.vkGetBufferMemoryRequirements2;
  real_allocate = functions.vkAllocateMemory;
  functions.vkGetBufferMemoryRequirements2 = requirements;
  functions.vkAllocateMemory = allocate;
}

void split(DeviceCaps& caps) {
  // Nothing to do if the memory types are already split.
  if (n_types != 0 && caps.memory_types.size() == 2 * n_types) return;
  n_types = static_cast<std::uint32_t>(caps.memory_types.size());
  std::vector<MemoryType> on_host = caps.memory_types;
  for (MemoryType& type : caps.memory_types)
    type.flags &= ~VkMemoryPropertyFlags{VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT};
  for (MemoryType& type : on_host)
    type.flags &= ~VkMemoryPropertyFlags{VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT};
  caps.memory_types.insert(caps.memory_types.end(), on_host.begin(), on_host.end());
}

}  // namespace

void split_memory(VulkanOptions& options, FunctionsHook with) {
  inner_hook = with;
  options.hook = hook;
  options.limit_caps = split;
}

}  // namespace bitaxon::vulkan::test

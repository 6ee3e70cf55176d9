#include "vulkan_tests/test_gpu.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace bitaxon::test {
namespace {

constexpr VkMemoryPropertyFlags kOfHost = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                          VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
                                          VK_MEMORY_PROPERTY_HOST_CACHED_BIT;

/// The driver's memory type that stands behind both imitated types.
std::uint32_t real_type = 0;
/// The heap of this memory type.
std::optional<std::uint32_t> real_heap;
PFN_vkGetBufferMemoryRequirements2 get_requirements = nullptr;
PFN_vkAllocateMemory allocate = nullptr;

VKAPI_ATTR void VKAPI_CALL allow_both(VkDevice device, const VkBufferMemoryRequirementsInfo2* info,
                                      VkMemoryRequirements2* requirements) {
  get_requirements(device, info, requirements);
  requirements->memoryRequirements.memoryTypeBits = 0b11;
}

VKAPI_ATTR VkResult VKAPI_CALL allocate_real(VkDevice device, const VkMemoryAllocateInfo* info,
                                             const VkAllocationCallbacks* callbacks,
                                             VkDeviceMemory* memory) {
  VkMemoryAllocateInfo real = *info;
  real.memoryTypeIndex = real_type;
  return allocate(device, &real, callbacks, memory);
}

void imitate(vulkan::Functions& functions) {
  if (const auto hook = test_options().hook) hook(functions);
  if (functions.vkAllocateMemory == nullptr) return;
  get_requirements = functions.vkGetBufferMemoryRequirements2;
  allocate = functions.vkAllocateMemory;
  functions.vkGetBufferMemoryRequirements2 = allow_both;
  functions.vkAllocateMemory = allocate_real;
}

/// The backend calls this again with the device's real heaps and the imitated types, whenever it
/// reads how much memory is available.
void two_heaps(vulkan::DeviceCaps& caps) {
  constexpr VkMemoryPropertyFlags kBoth = kOfHost | VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  const auto both = std::ranges::find_if(caps.memory_types, [](const vulkan::MemoryType& type) {
    return (type.flags & kBoth) == kBoth;
  });
  if (both != caps.memory_types.end()) {
    real_type = static_cast<std::uint32_t>(both - caps.memory_types.begin());
    real_heap = both->heap;
  } else if (!real_heap) {
    throw std::runtime_error("no memory type is both on the device and visible to the host");
  }
  const vulkan::MemoryHeap heap = caps.heaps[*real_heap];
  caps.heaps = {{heap.size_bytes, heap.available_bytes, true},
                {heap.size_bytes, heap.available_bytes, false}};
  caps.memory_types = {{0, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT}, {1, kOfHost}};
}

}  // namespace

vulkan::VulkanOptions like_discrete() {
  vulkan::VulkanOptions options = test_options();
  options.hook = imitate;
  options.limit_caps = two_heaps;
  return options;
}

}  // namespace bitaxon::test

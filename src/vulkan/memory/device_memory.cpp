#include "vulkan/memory/device_memory.h"

#include <algorithm>
#include <set>

#include "platform/host_memory.h"
#include "vulkan/memory/memory.h"
#include "vulkan/memory/packed_weight.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::uint32_t kAnyType = ~0U;

/// The types of memory in use other than the type of the weights. Each takes a block: for steps,
/// for results, and for staging where the host cannot map the weights.
std::set<std::int32_t> other_types(const DeviceCaps& caps, std::int32_t main) {
  const VkMemoryPropertyFlags flags = caps.memory_types[static_cast<std::size_t>(main)].flags;
  const bool seen = (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0 &&
                    (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0;
  std::set<std::int32_t> types = {choose_memory_type(caps, MemoryPurpose::step, kAnyType),
                                  choose_memory_type(caps, MemoryPurpose::readback, kAnyType)};
  if (!seen) types.insert(choose_memory_type(caps, MemoryPurpose::staging, kAnyType));
  types.erase(main);
  types.erase(-1);
  return types;
}

std::vector<MemoryKind> kinds_of(const DeviceCaps& caps) {
  const std::int32_t main = choose_memory_type(caps, MemoryPurpose::weights, kAnyType);
  if (main < 0) return {{.name = "device memory", .available_bytes = 0}};
  const std::uint32_t heap = caps.memory_types[static_cast<std::size_t>(main)].heap;
  std::vector<MemoryKind> kinds;
  if (caps.type == DeviceType::cpu)
    kinds = {{.name = "system memory", .available_bytes = caps.heaps[heap].available_bytes}};
  else
    kinds = {{.name = "device memory", .available_bytes = caps.heaps[heap].available_bytes},
             {.name = "system memory", .available_bytes = available_memory_bytes()}};
  for (const std::int32_t type : other_types(caps, main)) {
    const std::uint32_t its_heap = caps.memory_types[static_cast<std::size_t>(type)].heap;
    // A small window onto device memory is a heap of its own, and nothing else is allocated from
    // it.
    if (its_heap == heap)
      kinds.front().backend_bytes += shared_block_bytes(caps);
    else if (!caps.heaps[its_heap].device_local)
      kinds.back().backend_bytes += shared_block_bytes(caps);
  }
  return kinds;
}

}  // namespace

DeviceMemory device_memory(const DeviceCaps& caps) {
  DeviceMemory memory;
  memory.kinds = kinds_of(caps);
  memory.max_buffer_bytes = std::min(caps.max_buffer_bytes, caps.max_allocation_bytes);
  memory.max_binding_bytes = caps.max_storage_buffer_bytes;
  memory.max_weight_elements = kMaxWeightElements;
  DeviceSizes sizes;
  sizes.describe = [](const WeightDesc& desc) { return make_weight(desc, nullptr); };
  sizes.workspace = [caps](const Graph& graph, const Node& node) {
    return kernel_of(op_of(node)).workspace({graph, node}, caps);
  };
  sizes.allocated_bytes = [caps](std::span<const std::uint64_t> buffers) {
    return allocated_bytes(caps, buffers);
  };
  memory.sizes = std::make_shared<DeviceSizes>(std::move(sizes));
  return memory;
}

}  // namespace bitaxon::vulkan

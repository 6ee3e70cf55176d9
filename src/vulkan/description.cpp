#include "vulkan/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/plan.h"
#include "core/state_layout.h"
#include "core/step.h"
#include "platform/host_memory.h"
#include "platform/printable.h"
#include "vulkan/memory/memory.h"
#include "vulkan/memory/packed_weight.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::uint32_t kAnyType = ~0U;

/// The memory types that the backend uses in addition to the type of the weights, `main`. It
/// allocates a block of each of these types: for step buffers, for results, and for staging if the
/// host cannot map the weights.
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
    // A device-local heap other than the heap of the weights is a small window onto device memory.
    // Only step buffers use the window, so its block is not counted.
    if (its_heap == heap)
      kinds.front().backend_bytes += shared_block_bytes(caps);
    else if (!caps.heaps[its_heap].device_local)
      kinds.back().backend_bytes += shared_block_bytes(caps);
  }
  return kinds;
}

/// Whether a value may exceed the limit of a binding, because launches bind it in several parts.
/// Launches can do this for the result of a product if no node reads the result. The logits of a
/// large vocabulary are such a result.
bool is_bound_in_parts(const Plan& plan, std::int32_t value) {
  bool is_product = false;
  for (std::size_t place = 0; place < plan.order.size(); ++place) {
    const Node& node = plan.node(place).node();
    for (const Operand& operand : node.operands) {
      if (operand.value != value) continue;
      if (operand.access != Access::write) return false;
      is_product = op_of(node) == OpId::linear;
    }
  }
  return is_product;
}

class VulkanDescription final : public BackendDescription {
 public:
  explicit VulkanDescription(const DeviceCaps& caps) : caps_(caps), memory_(kinds_of(caps)) {}

  std::vector<MemoryKind> memory() const override { return memory_; }
  std::shared_ptr<const Weight> describe(const WeightDesc& desc) const override {
    return make_weight(desc, nullptr);
  }
  std::size_t workspace(const NodeView& node) const override {
    return kernel_of(op_of(node.node())).workspace(node, caps_);
  }
  std::optional<std::size_t> joint_workspace(const NodeView& first,
                                             const NodeView& second) const override {
    const JointKernel* joint = joint_kernel_of(first, second);
    if (joint == nullptr) return std::nullopt;
    return joint->workspace(first, second, caps_);
  }
  std::uint64_t allocated_bytes(std::span<const std::uint64_t> sizes) const override {
    return vulkan::allocated_bytes(caps_, sizes);
  }
  std::uint64_t max_buffer_bytes() const override {
    return std::min(caps_.max_buffer_bytes, caps_.max_allocation_bytes);
  }

  std::string problem_of(const WeightDesc& desc) const override {
    if (desc.elements() <= kMaxWeightElements) return {};
    return fmt::format("{} has {} elements, the largest weight {}", printable(desc.name),
                       desc.elements(), kMaxWeightElements);
  }
  std::string problem_of(const StateTensor& tensor) const override {
    return binding_problem(printable(tensor.name), tensor.size_bytes);
  }
  std::string problem_of(const Plan& plan) const override {
    const std::string what =
        fmt::format("an activation of {} rows", capacity_of(*plan.graph, RowSpace::rows));
    for (std::size_t i = 0; i < plan.values.size(); ++i) {
      const std::string problem = binding_problem(what, plan.values[i].size_bytes);
      if (!problem.empty() && !is_bound_in_parts(plan, static_cast<std::int32_t>(i)))
        return problem;
    }
    return {};
  }

 private:
  std::string binding_problem(std::string_view what, std::uint64_t bytes) const {
    if (bytes <= caps_.max_storage_buffer_bytes) return {};
    return fmt::format("{} takes {}, the largest binding is of {}", what, bytes_text(bytes),
                       bytes_text(caps_.max_storage_buffer_bytes));
  }

  DeviceCaps caps_;
  std::vector<MemoryKind> memory_;
};

}  // namespace

std::shared_ptr<const BackendDescription> describe_device(const DeviceCaps& caps) {
  return std::make_shared<VulkanDescription>(caps);
}

}  // namespace bitaxon::vulkan

#include "vulkan/run/kernel.h"

#include "core/assert.h"

namespace bitaxon::vulkan {

const VulkanKernel& kernel_of(OpId op) {
  static constexpr const VulkanKernel* kKernels[] = {
#define BX_OP(name) &name##_kernel,
#include "ops/op_list.inc"
#undef BX_OP
  };
  const auto index = static_cast<std::size_t>(op);
  BX_ASSERT(index < std::size(kKernels), "an op of the list");
  return *kKernels[index];
}

}  // namespace bitaxon::vulkan

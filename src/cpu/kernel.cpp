#include "cpu/kernel.h"

#include <array>

#include "cpu/simd/kernels.h"

namespace bitaxon::cpu {

const CpuKernel& kernel_of(OpId op, bool vectorized) {
  static constexpr std::array<const CpuKernel*, kOpCount> kPlain = {
#define BX_OP(name) &name##_kernel,
#include "ops/op_list.inc"
#undef BX_OP
  };
  const CpuKernel* found = vectorized ? simd_kernel_of(op) : nullptr;
  return found != nullptr ? *found : *kPlain[static_cast<std::size_t>(op)];
}

}  // namespace bitaxon::cpu

#include "cpu/kernel.h"

#include <array>

namespace bitaxon::cpu {

const CpuKernel& kernel_of(OpId op) {
  static constexpr std::array<const CpuKernel*, kOpCount> kTable = {
#define BX_OP(name) &name##_kernel,
#include "ops/op_list.inc"
#undef BX_OP
  };
  return *kTable[static_cast<std::size_t>(op)];
}

}  // namespace bitaxon::cpu

#include "cpu/simd/kernels.h"

namespace bitaxon::cpu {

const CpuKernel* simd_kernel_of(OpId op) {
  switch (op) {
    case OpId::linear:
      return &simd_linear;
    case OpId::swiglu:
      return &simd_swiglu;
    case OpId::ssm_in:
      return &simd_ssm_in;
    case OpId::attn_in:
      return &simd_attn_in;
    case OpId::moe_route:
      return &simd_moe_route;
    case OpId::moe_swiglu:
      return &simd_moe_swiglu;
    case OpId::moe_down:
      return &simd_moe_down;
    case OpId::selective_scan:
      return &simd_selective_scan;
    case OpId::attention:
      return &simd_attention;
    case OpId::sample:
      return &simd_sample;
    default:
      return nullptr;
  }
}

}  // namespace bitaxon::cpu

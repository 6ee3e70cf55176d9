#include "cpu/fast/kernels.h"

namespace bitaxon::cpu {

const CpuKernel* fast_kernel_of(OpId op) {
  switch (op) {
    case OpId::linear:
      return &fast_linear;
    case OpId::ssm_in:
      return &fast_ssm_in;
    case OpId::attn_in:
      return &fast_attn_in;
    case OpId::moe_route:
      return &fast_moe_route;
    case OpId::moe_swiglu:
      return &fast_moe_swiglu;
    case OpId::moe_down:
      return &fast_moe_down;
    case OpId::selective_scan:
      return &fast_selective_scan;
    case OpId::attention:
      return &fast_attention;
    case OpId::sample:
      return &fast_sample;
    default:
      return nullptr;
  }
}

}  // namespace bitaxon::cpu

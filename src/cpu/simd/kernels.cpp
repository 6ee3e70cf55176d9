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
    case OpId::ssm_conv:
      return &simd_ssm_conv;
    case OpId::ssm_conv_backward:
      return &simd_ssm_conv_backward;
    case OpId::attention_backward:
      return &simd_attention_backward;
    case OpId::attn_in:
      return &simd_attn_in;
    case OpId::moe_route:
      return &simd_moe_route;
    case OpId::moe_swiglu:
      return &simd_moe_swiglu;
    case OpId::moe_down:
      return &simd_moe_down;
    case OpId::moe_gate_up:
      return &simd_moe_gate_up;
    case OpId::moe_gate_up_backward:
      return &simd_moe_gate_up_backward;
    case OpId::moe_down_backward:
      return &simd_moe_down_backward;
    case OpId::selective_scan:
      return &simd_selective_scan;
    case OpId::selective_scan_backward:
      return &simd_selective_scan_backward;
    case OpId::attention:
      return &simd_attention;
    case OpId::sample:
      return &simd_sample;
    case OpId::linear_backward:
      return &simd_linear_backward;
    case OpId::rms_norm:
      return &simd_rms_norm;
    case OpId::rms_norm_backward:
      return &simd_rms_norm_backward;
    case OpId::silu_mul:
      return &simd_silu_mul;
    case OpId::silu_mul_backward:
      return &simd_silu_mul_backward;
    case OpId::adapter:
      return &simd_adapter;
    case OpId::adapter_backward:
      return &simd_adapter_backward;
    case OpId::dora_norms:
      return &simd_dora_norms;
    case OpId::cross_entropy:
      return &simd_cross_entropy;
    case OpId::sum_squares:
      return &simd_sum_squares;
    case OpId::adamw:
      return &simd_adamw;
    default:
      return nullptr;
  }
}

}  // namespace bitaxon::cpu

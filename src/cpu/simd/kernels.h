// The vectorized kernels, one file per op. An op without a vectorized kernel runs its plain kernel.
#pragma once

#include "cpu/kernel.h"

namespace bitaxon::cpu {

extern const CpuKernel simd_linear;
extern const CpuKernel simd_swiglu;
extern const CpuKernel simd_ssm_in;
extern const CpuKernel simd_ssm_conv;
extern const CpuKernel simd_ssm_conv_backward;
extern const CpuKernel simd_attention_backward;
extern const CpuKernel simd_attn_in;
extern const CpuKernel simd_moe_route;
extern const CpuKernel simd_moe_swiglu;
extern const CpuKernel simd_moe_down;
extern const CpuKernel simd_moe_gate_up;
extern const CpuKernel simd_moe_gate_up_backward;
extern const CpuKernel simd_moe_down_backward;
extern const CpuKernel simd_selective_scan;
extern const CpuKernel simd_selective_scan_backward;
extern const CpuKernel simd_attention;
extern const CpuKernel simd_sample;
extern const CpuKernel simd_linear_backward;
extern const CpuKernel simd_rms_norm;
extern const CpuKernel simd_rms_norm_backward;
extern const CpuKernel simd_silu_mul;
extern const CpuKernel simd_silu_mul_backward;
extern const CpuKernel simd_adapter;
extern const CpuKernel simd_adapter_backward;
extern const CpuKernel simd_dora_norms;
extern const CpuKernel simd_cross_entropy;
extern const CpuKernel simd_sum_squares;
extern const CpuKernel simd_adamw;

/// The vectorized kernel of an op; nullptr if the op has none.
const CpuKernel* simd_kernel_of(OpId op);

}  // namespace bitaxon::cpu

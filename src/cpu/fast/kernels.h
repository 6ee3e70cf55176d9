// The fast kernels, one file per op. An op without a fast kernel runs its plain kernel.
#pragma once

#include "cpu/kernel.h"

namespace bitaxon::cpu {

extern const CpuKernel fast_linear;
extern const CpuKernel fast_ssm_in;
extern const CpuKernel fast_attn_in;
extern const CpuKernel fast_moe_route;
extern const CpuKernel fast_moe_swiglu;
extern const CpuKernel fast_moe_down;
extern const CpuKernel fast_selective_scan;
extern const CpuKernel fast_attention;
extern const CpuKernel fast_sample;

/// nullptr: the op has no fast kernel.
const CpuKernel* fast_kernel_of(OpId op);

}  // namespace bitaxon::cpu

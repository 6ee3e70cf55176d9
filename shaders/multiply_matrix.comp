// Each subgroup computes 4 chains: n_rounds times c = a b + c on matrix units. Every element of a and b
// is 1/64, so every element of c grows by K / 4096 in each round, exactly.
//   sums[invocation] = the sum of one element of each chain
//
// Bindings: sums [invocations]; starts [1 or more]
// Grid: x, one invocation per sum. The shader only multiplies matrices in registers, to measure the
// peak of the matrix units. The start is read from memory, so that no compiler can compute the result
// in advance; all its bits but those of the smallest numbers are 0.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#pragma use_vulkan_memory_model
#include "params/multiply_matrix.h"

layout(local_size_x_id = BX_MULTIPLY_MATRIX_GROUP_SIZE) in;
layout(constant_id = BX_MULTIPLY_MATRIX_M) const uint kM = 16;
layout(constant_id = BX_MULTIPLY_MATRIX_N) const uint kN = 16;
layout(constant_id = BX_MULTIPLY_MATRIX_K) const uint kK = 16;

layout(set = 0, binding = 0, scalar) writeonly restrict buffer Sums { float sums[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Starts { float starts[]; };
layout(push_constant, scalar) uniform Push { MultiplyMatrixPush p; };

#define SUM coopmat<float, gl_ScopeSubgroup, kM, kN, gl_MatrixUseAccumulator>

void main() {
  const float16_t element = float16_t(starts[0] + 0.015625);
  const coopmat<float16_t, gl_ScopeSubgroup, kM, kK, gl_MatrixUseA> a =
      coopmat<float16_t, gl_ScopeSubgroup, kM, kK, gl_MatrixUseA>(element);
  const coopmat<float16_t, gl_ScopeSubgroup, kK, kN, gl_MatrixUseB> b =
      coopmat<float16_t, gl_ScopeSubgroup, kK, kN, gl_MatrixUseB>(element);
  // The chains do not depend on each other, so their latencies overlap.
  SUM c = SUM(0.0), d = SUM(1.0), e = SUM(2.0), f = SUM(3.0);
  for (uint round = 0; round < p.n_rounds; ++round) {
    c = coopMatMulAdd(a, b, c);
    d = coopMatMulAdd(a, b, d);
    e = coopMatMulAdd(a, b, e);
    f = coopMatMulAdd(a, b, f);
  }
  sums[gl_GlobalInvocationID.x] = c[0] + d[0] + e[0] + f[0];
}

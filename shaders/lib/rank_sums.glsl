// Sums of BX_ADAPTER_RANKS numbers over a workgroup. Requires whole subgroups. The including shader
// declares the size of the workgroup before it includes this file.
#ifndef BX_RANK_SUMS_GLSL
#define BX_RANK_SUMS_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require

#include "lib/lanes_sum.glsl"
#include "params/adapter.h"

// The sums of each subgroup, which has at least 4 lanes.
shared float rank_parts[gl_WorkGroupSize.x / 4 * BX_ADAPTER_RANKS];

// Adds up sums[k] of the subgroup. All invocations must call this function once, in uniform control
// flow. Then rank_sum() gives the sums of the workgroup.
void add_ranks(const float sums[BX_ADAPTER_RANKS]) {
  [[unroll]] for (uint k = 0; k < BX_ADAPTER_RANKS; ++k) {
    const float part = lanes_sum(sums[k], 1, gl_SubgroupSize);
    if (subgroupElect()) rank_parts[gl_SubgroupID * BX_ADAPTER_RANKS + k] = part;
  }
  barrier();
}

float rank_sum(const uint k) {
  float sum = 0.0;
  for (uint i = 0; i < gl_NumSubgroups; ++i) sum += rank_parts[i * BX_ADAPTER_RANKS + k];
  return sum;
}

#endif

// Finds the best token of a segment. Each workgroup of sample_scale stores the best token of its
// part of the vocabulary; the best of these tokens is the best of the segment.
//
// The including shader must bind `best` (readonly or not), declare the push constants `p`, and have
// workgroups of whole subgroups. All invocations must call best_of_group() or best_of_segment(). A
// shader may call only one of these two functions, and only once.
#ifndef BX_SAMPLE_BEST_GLSL
#define BX_SAMPLE_BEST_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

#include "lib/soft_float.glsl"

shared uvec2 best_of_subgroup[BX_SAMPLE_MAX_SUBGROUPS];

// A token as the pair (key, id). The token with the largest key is the best. Among tokens with
// equal keys, the token with the lowest id is the best.
const uvec2 kNoToken = uvec2(0u, 0xffffffffu);
uvec2 better(const uvec2 a, const uvec2 b) {
  return b.x > a.x || (b.x == a.x && b.y < a.y) ? b : a;
}

uvec2 best_of_lanes(const uvec2 mine) {
  const uint key = subgroupMax(mine.x);
  return uvec2(key, subgroupMin(mine.x == key ? mine.y : kNoToken.y));
}

// Returns the best of the tokens that the invocations of the workgroup pass. All invocations get
// the same result.
uvec2 best_of_group(const uvec2 mine) {
  const uvec2 of_subgroup = best_of_lanes(mine);
  if (subgroupElect()) best_of_subgroup[gl_SubgroupID] = of_subgroup;
  barrier();
  if (gl_SubgroupID == 0) {
    uvec2 part = kNoToken;
    for (uint s = gl_SubgroupInvocationID; s < gl_NumSubgroups; s += gl_SubgroupSize)
      part = better(part, best_of_subgroup[s]);
    part = best_of_lanes(part);
    if (subgroupElect()) best_of_subgroup[0] = part;
  }
  barrier();
  return best_of_subgroup[0];
}

uvec2 best_of_segment(const uint g) {
  uvec2 mine = kNoToken;
  for (uint i = gl_LocalInvocationIndex; i < p.n_parts; i += gl_WorkGroupSize.x)
    mine = better(mine, best[g * p.n_parts + i]);
  return best_of_group(mine);
}

#endif

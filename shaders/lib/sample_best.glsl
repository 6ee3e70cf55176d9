// The best token of a segment, found from the results of the workgroups of sample_scale.
//
// The including shader has bound `best` (readonly or not), declared the push constants `p`, and has
// workgroups of whole subgroups. All invocations must call best_of_group() or best_of_segment(). A
// shader may call only one of them, and only once.
#ifndef BX_SAMPLE_BEST_GLSL
#define BX_SAMPLE_BEST_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

#include "lib/soft_float.glsl"

shared uvec2 best_of_subgroup[BX_SAMPLE_MAX_SUBGROUPS];

// (key, id): the largest key is the best; among equal keys, the lowest id.
const uvec2 kNoToken = uvec2(0u, 0xffffffffu);
uvec2 better(const uvec2 a, const uvec2 b) {
  return b.x > a.x || (b.x == a.x && b.y < a.y) ? b : a;
}

uvec2 best_of_lanes(const uvec2 mine) {
  const uint key = subgroupMax(mine.x);
  return uvec2(key, subgroupMin(mine.x == key ? mine.y : kNoToken.y));
}

// Returns the best of all invocations' values to every invocation of the workgroup.
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

// Sums over a work group. The work group is made of whole subgroups.
#ifndef BX_GROUP_SUM_GLSL
#define BX_GROUP_SUM_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

// A work group has at most 1024 invocations, a subgroup at least 4.
shared float group_sum_parts[256];

// Every invocation gets the sum of all their values; all of them call, in uniform control flow.
float group_sum(const float value) {
  const float part = subgroupAdd(value);
  barrier();  // of an earlier call, everyone has read the parts
  if (subgroupElect()) group_sum_parts[gl_SubgroupID] = part;
  barrier();
  float sum = 0.0;
  for (uint i = 0; i < gl_NumSubgroups; ++i) sum += group_sum_parts[i];
  return sum;
}

#endif

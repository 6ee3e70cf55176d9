// Sums over a workgroup. Requires whole subgroups.
#ifndef BX_GROUP_SUM_GLSL
#define BX_GROUP_SUM_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

// A workgroup has at most 1024 invocations, a subgroup at least 4.
shared float group_sum_parts[256];

// Returns the sum of all values to every invocation. All invocations must call this function, in
// uniform control flow.
float group_sum(const float value) {
  const float part = subgroupAdd(value);
  barrier();  // all invocations have read the parts of an earlier call
  if (subgroupElect()) group_sum_parts[gl_SubgroupID] = part;
  barrier();
  float sum = 0.0;
  for (uint i = 0; i < gl_NumSubgroups; ++i) sum += group_sum_parts[i];
  return sum;
}

#endif

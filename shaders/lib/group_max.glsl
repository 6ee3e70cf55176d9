// The maximum over a workgroup. Requires whole subgroups.
#ifndef BX_GROUP_MAX_GLSL
#define BX_GROUP_MAX_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

// A workgroup has at most 1024 invocations, a subgroup at least 4.
shared float group_max_parts[256];

// Returns the largest value to every invocation. A NaN may be ignored. All invocations must call
// this function, in uniform control flow.
float group_max(const float value) {
  const float part = subgroupMax(value);
  barrier();  // all invocations have read the parts of an earlier call
  if (subgroupElect()) group_max_parts[gl_SubgroupID] = part;
  barrier();
  float largest = group_max_parts[0];
  for (uint i = 1; i < gl_NumSubgroups; ++i) largest = max(largest, group_max_parts[i]);
  return largest;
}

#endif

// Like lib/last_group.glsl, for the subgroups of all workgroups: they work for one result, and the
// one that finishes last learns it.
//
// The including shader declares `coherent buffer Counters { uint counters[]; }`, and `coherent` for
// every buffer in which subgroups leave results for the last one. Counters are 0 before the launch
// and after it.
#ifndef BX_LAST_SUBGROUP_GLSL
#define BX_LAST_SUBGROUP_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_vote : require

// Whether this subgroup is the last of n that call this function with the same counter and `counts`. Then
// it sees everything that the others have written before their calls. All lanes must call this function,
// in uniform control flow.
bool is_last_subgroup(const uint counter, const uint n, const bool counts) {
  memoryBarrierBuffer();
  subgroupBarrier();
  bool is_last = false;
  if (counts && gl_SubgroupInvocationID == 0) {
    is_last = atomicAdd(counters[counter], 1u) == n - 1;
    if (is_last) atomicExchange(counters[counter], 0u);
  }
  is_last = subgroupAny(is_last);
  memoryBarrierBuffer();
  return is_last;
}

#endif

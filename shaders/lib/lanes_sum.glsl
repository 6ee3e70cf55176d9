// Sums over neighboring lanes of a subgroup.
#ifndef BX_LANES_SUM_GLSL
#define BX_LANES_SUM_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

// Applies STEP(distance) to every distance between lanes that subgroups of up to 128 lanes have.
// The distances are literals: then a shuffle is a move within a quad or a row of lanes, which costs
// no more than the addition. For a distance that it cannot see, a compiler emits a general
// permutation with its address (AMD: three instructions and an access to shared memory).
#define BX_EACH_DISTANCE(STEP) STEP(1u) STEP(2u) STEP(4u) STEP(8u) STEP(16u) STEP(32u) STEP(64u)

// Adds to x the values of the lanes at the distances `first`, 2 * first, ... below `end`; both are
// powers of two. So lanes_sum(x, 1, n) is the sum over groups of n neighboring lanes, for each lane
// of the group. All lanes of the subgroup must call this function.
//
// lanes_sum(x, 1, gl_SubgroupSize) is preferred to subgroupAdd(x), because compilers that do not
// know whether all lanes are active spend up to 65 instructions on that (NVIDIA's open one).
float lanes_sum(float x, const uint first, const uint end) {
#define BX_STEP(distance) \
  if (first <= distance && distance < end) x += subgroupShuffleXor(x, distance);
  BX_EACH_DISTANCE(BX_STEP)
#undef BX_STEP
  return x;
}

#endif

// Sorts the (row, slot) pairs of a step by expert, with a counting sort. Then lists tiles, each of
// which has pairs of one expert only. So later shaders can compute several rows of an expert
// together.
//
// Bindings: step; experts [R, top_k];
//           pairs [R * slots]: row * slots + slot, sorted by expert;
//           tiles: (expert, first pair of the tile, number of pairs);
//           grid: the number of workgroups for all tiles
// The grid is one workgroup. The shared expert is expert n_experts and has slot top_k of every row.
// An invalid expert index counts as the last expert. The pairs of one expert are in no particular
// order, so results must not depend on the order of pairs.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "params/moe_group.h"

layout(local_size_x_id = BX_MOE_GROUP_GROUP_SIZE) in;

layout(set = 0, binding = 1, scalar) readonly restrict buffer Experts { uint experts[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer PairList { uint pairs[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Tiles { uvec3 tiles[]; };
layout(set = 0, binding = 4, scalar) writeonly restrict buffer Grid { uvec3 grid; };
layout(push_constant, scalar) uniform Push { MoeGroupPush p; };

shared uint count[BX_MOE_MAX_EXPERTS + 1];
shared uint next[BX_MOE_MAX_EXPERTS + 1];  // the index of the next pair of each expert

uint expert_of(uint i) { return min(experts[i], p.n_experts - 1); }
uint tiles_for(uint n) { return (n + p.tile_rows - 1) / p.tile_rows; }

void list_tiles(uint e, uint n_lists) {
  uint first = 0;
  uint tile = 0;
  for (uint i = 0; i < e; ++i) {
    first += count[i];
    tile += tiles_for(count[i]);
  }
  next[e] = first;
  for (uint done = 0; done < count[e]; done += p.tile_rows)
    tiles[tile++] = uvec3(e, first + done, min(p.tile_rows, count[e] - done));
  if (e == n_lists - 1) grid = uvec3(p.n_across, tile, 1);
}

void main() {
  const uint lane = gl_LocalInvocationID.x;
  const uint size = gl_WorkGroupSize.x;
  const uint n_rows = step_.n_rows;
  const uint n_pairs = n_rows * p.top_k;
  const bool has_shared = p.n_slots > p.top_k;
  const uint n_lists = p.n_experts + (has_shared ? 1 : 0);
  for (uint e = lane; e < n_lists; e += size) count[e] = e < p.n_experts ? 0 : n_rows;
  barrier();
  for (uint i = lane; i < n_pairs; i += size) atomicAdd(count[expert_of(i)], 1);
  barrier();
  for (uint e = lane; e < n_lists; e += size) list_tiles(e, n_lists);
  barrier();
  for (uint i = lane; i < n_pairs; i += size)
    pairs[atomicAdd(next[expert_of(i)], 1)] = i / p.top_k * p.n_slots + i % p.top_k;
  if (has_shared)
    for (uint r = lane; r < n_rows; r += size) pairs[n_pairs + r] = r * p.n_slots + p.top_k;
}

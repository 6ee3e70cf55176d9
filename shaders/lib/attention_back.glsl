// What the shaders of the gradient of attention share: constants, parameters, and the places of
// heads of keys and values.
//
// These shaders compute each score several times. `precise` gives it the same bits every time: if a
// compiler fused only some multiply-adds, a huge score could be far from itself, and its exponential 0 or
// infinite.
#ifndef BX_ATTENTION_BACK_GLSL
#define BX_ATTENTION_BACK_GLSL

#include "lib/math.glsl"
#include "lib/step.glsl"
#include "params/attention_back.h"

layout(local_size_x_id = BX_ATTENTION_BACK_GROUP_SIZE) in;
layout(constant_id = BX_ATTENTION_BACK_HEAD_DIM) const uint kHeadDim = 64;
layout(constant_id = BX_ATTENTION_BACK_HALF) const bool kHalf = false;

layout(push_constant, scalar) uniform Push { AttentionBackPush p; };

const float kLeast = -3.40282347e38;

float half_at(const uint word, const uint at) {
  const vec2 both = unpackHalf2x16(word);
  return (at & 1u) == 0 ? both.x : both.y;
}

// The first position that the row at `position` attends to.
uint first_key(const uint position) {
  return position < p.window ? 0 : position - p.window + 1;
}

// Where the head of keys (or values) that serves head `head` of the queries begins, at position j.
uint head_place(const SegmentWords segment, const uint j, const uint head) {
  const uint kv_head = head / (p.n_heads / p.n_kv_heads);
  return (page_row(segment, p.page_group, j) * p.n_kv_heads + kv_head) * kHeadDim;
}

#endif

// Products of many argument rows with many weight rows, by a work group of TILE_GROUP invocations:
// a tile of TILE_ROWS * 8 argument rows by TILE_OUTS weight rows, through shared memory.
//
// The shader that includes this has defined
//   TILE_ROWS     constant: argument rows per invocation
//   TILE_X4(i)    vec4: elements i..i+3 of the argument; i is a multiple of 4, and this is only
//                 used when n_cols is one
//   TILE_X(i)     float: element i of the argument
// and, before tile_multiply, filled tile_x_at; rows of the tile that are not needed take a place
// that exists. No operations of subgroups; all invocations call, in uniform control flow.
#ifndef BX_TILE_GLSL
#define BX_TILE_GLSL

#extension GL_EXT_control_flow_attributes : require

#include "lib/weight.glsl"
#include "params/tile.h"

const uint kTileRows = TILE_ROWS * BX_TILE_LANES_DOWN;  // of the argument
const uint kTileDepth = 16;                             // columns at a time
const uint kTileQuads = kTileDepth / 4;
const uint kTilePerLane = BX_TILE_OUTS / BX_TILE_LANES_ACROSS;  // weight rows per invocation

// Where each argument row begins, in elements.
shared uint tile_x_at[kTileRows];
// [row][quad], a quad more than used, so that rows fall on different banks.
shared vec4 tile_x[kTileRows * (kTileQuads + 1)];
// [column][weight row]
shared float tile_w[kTileDepth * BX_TILE_OUTS];
shared float tile_codebooks[2 * 16];

// The sums: tile_acc[i * kTilePerLane + j] belongs to argument row tile_row(i) and weight row
// tile_out(j).
float tile_acc[TILE_ROWS * kTilePerLane];
uint tile_row(uint i) { return gl_LocalInvocationID.x / BX_TILE_LANES_ACROSS * TILE_ROWS + i; }
uint tile_out(uint j) {
  return gl_LocalInvocationID.x % BX_TILE_LANES_ACROSS + BX_TILE_LANES_ACROSS * j;
}

void tile_put(const uint k, const vec4 values) {
  const uint at = k * BX_TILE_OUTS + gl_LocalInvocationID.x;
  tile_w[at] = values.x;
  tile_w[at + BX_TILE_OUTS] = values.y;
  tile_w[at + 2 * BX_TILE_OUTS] = values.z;
  tile_w[at + 3 * BX_TILE_OUTS] = values.w;
}

vec4 tile_codes(const uint codes) {
  return vec4(codes & 15u, codes >> 4 & 15u, codes >> 8 & 15u, codes >> 12 & 15u);
}

vec4 tile_looked_up(const uint codes, const uint table) {
  return vec4(tile_codebooks[16 * table + (codes & 15u)],
              tile_codebooks[16 * table + (codes >> 4 & 15u)],
              tile_codebooks[16 * table + (codes >> 8 & 15u)],
              tile_codebooks[16 * table + (codes >> 12 & 15u)]);
}

vec4 tile_dense(const WeightRef w, const uint format, const uint i) {
  if (format == BX_F32) return FloatQuads(w.data).at[i >> 2];
  const uint low = Words(w.data).at[i >> 1];
  const uint high = Words(w.data).at[(i >> 1) + 1];
  if (format == BX_F16) return vec4(unpackHalf2x16(low), unpackHalf2x16(high));
  return uintBitsToFloat(uvec4(low << 16, low & 0xffff0000u, high << 16, high & 0xffff0000u));
}

// The codebook that tile_load_weights(..., table) looks into, when the form is nf4. Followed by a
// barrier of the caller's.
void tile_load_codebook(const WeightRef w, const uint form, const uint table) {
  if (form_format(form) == BX_NF4 && gl_LocalInvocationID.x < 16)
    tile_codebooks[16 * table + gl_LocalInvocationID.x] = codebook_at(w, gl_LocalInvocationID.x);
}

// This invocation's weight row of the tile, columns [k, k + 16); zeros beyond the last. `row` is
// one of the flattened [n_matrices * rows, n_cols] weight.
void tile_load_weights(const WeightRef w, const uint form, const uint table, const uint row,
                       const uint n_cols, const uint k) {
  const uint at = row * n_cols + k;
  if (!form_aligned(form) || k + kTileDepth > n_cols) {
    for (uint c = 0; c < kTileDepth; ++c)
      tile_w[c * BX_TILE_OUTS + gl_LocalInvocationID.x] =
          k + c < n_cols ? weight_at(w, form, at + c) : 0.0;
    return;
  }
  if (form_format(form) < BX_Q4) {
    [[unroll]] for (uint q = 0; q < kTileQuads; ++q)
      tile_put(4 * q, tile_dense(w, form_format(form), at + 4 * q));
    return;
  }
  // Sixteen codes lie in two words and under one scale.
  const uint group = at / form_group(form);
  const bool affine = form_format(form) == BX_Q4;
  const float scale = affine ? scale_of(w, form, group) : absmax_of(w, form, group);
  const float bias = affine ? bias_of(w, form, group) : 0.0;
  [[unroll]] for (uint q = 0; q < kTileQuads; ++q) {
    const uint codes = Words(w.data).at[(at >> 3) + q / 2] >> 16 * (q & 1u);
    tile_put(4 * q, affine ? scale * tile_codes(codes) + bias
                           : scale * tile_looked_up(codes, table));
  }
}

// The argument's columns [k, k + 16); zeros beyond the last, whatever lies there.
void tile_load_rows(const uint n_cols, const uint k) {
  for (uint i = gl_LocalInvocationID.x; i < kTileRows * kTileQuads; i += BX_TILE_GROUP) {
    const uint c = k + 4 * (i % kTileQuads);
    const uint at = tile_x_at[i / kTileQuads] + c;
    vec4 values = vec4(0.0);
    if ((n_cols & 3u) == 0) {
      if (c < n_cols) values = TILE_X4(at);
    } else {
      if (c < n_cols) values.x = TILE_X(at);
      if (c + 1 < n_cols) values.y = TILE_X(at + 1);
      if (c + 2 < n_cols) values.z = TILE_X(at + 2);
      if (c + 3 < n_cols) values.w = TILE_X(at + 3);
    }
    tile_x[i / kTileQuads * (kTileQuads + 1) + i % kTileQuads] = values;
  }
}

void tile_clear() {
  [[unroll]] for (uint i = 0; i < TILE_ROWS * kTilePerLane; ++i) tile_acc[i] = 0.0;
}

#define TILE_STEP(component, k)                                                       \
  {                                                                                   \
    float w[kTilePerLane];                                                            \
    [[unroll]] for (uint j = 0; j < kTilePerLane; ++j)                                \
      w[j] = tile_w[(k) * BX_TILE_OUTS + tile_out(j)];                                \
    [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i)                                   \
      [[unroll]] for (uint j = 0; j < kTilePerLane; ++j)                              \
        tile_acc[i * kTilePerLane + j] += x[i].component * w[j];                      \
  }

// Adds the products of what lies in shared memory, column after column.
void tile_add() {
  for (uint q = 0; q < kTileQuads; ++q) {
    vec4 x[TILE_ROWS];
    [[unroll]] for (uint i = 0; i < TILE_ROWS; ++i)
      x[i] = tile_x[tile_row(i) * (kTileQuads + 1) + q];
    TILE_STEP(x, 4 * q)
    TILE_STEP(y, 4 * q + 1)
    TILE_STEP(z, 4 * q + 2)
    TILE_STEP(w, 4 * q + 3)
  }
}

#endif

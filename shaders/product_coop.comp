// y[r, o] = end(sum_c half(w[weight_row + o, c]) * half(x[s(r), c]))
//   end() adds a bias, and may add a residual or apply a gate: lib/product_end.glsl
// The products are computed on matrix units. s(r) is source_of() in lib/product_rows.glsl. half()
// rounds to float16; sums are float32.
//
// Bindings: step; x [., x_width]; other [., n_out] (or x again); y [., n_out]
// A workgroup of four subgroups computes a tile of 64 rows by 64 outputs. Each subgroup computes a
// quarter of the tile: 2 by 2 fragments, each of 16 by 16 elements. Grid: x over outputs, y over
// rows. Requires workgroups of exactly four subgroups, and matrix units for products of 16 by 16 by
// 16 in subgroup scope.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_NV_cooperative_matrix : require
#pragma use_vulkan_memory_model
#include "lib/product_rows.glsl"
#include "lib/weight.glsl"
#include "params/product_coop.h"

layout(local_size_x_id = BX_PRODUCT_COOP_GROUP_SIZE) in;
layout(constant_id = BX_PRODUCT_COOP_FORM) const uint kForm = 0;
layout(constant_id = BX_PRODUCT_COOP_OTHER) const uint kOther = 0;
layout(constant_id = BX_PRODUCT_COOP_SOURCE) const uint kSource = BX_ROWS_OF_TOKENS;
layout(constant_id = BX_PRODUCT_COOP_HAS_BIAS) const bool kHasBias = false;

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 1, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Other { float other[]; };
layout(set = 0, binding = 3, scalar) buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { ProductTilePush p; };

#include "lib/product_end.glsl"

const uint kRows = BX_PRODUCT_COOP_ROWS;
const uint kOuts = BX_PRODUCT_COOP_OUTS;
const uint kDepth = 32;  // columns of a slice
// The length of a row of a slice, in uvec4s. A row has 32 halves, 8 in each uvec4. Matrix units
// require the alignment of a uvec4. One unused uvec4 at the end of each row puts consecutive rows
// on different banks of shared memory.
const uint kStride = kDepth / 8 + 1;
shared uvec4 x_slice[kRows * kStride];
shared uvec4 w_slice[kOuts * kStride];
shared uvec4 fragments[BX_PRODUCT_COOP_SUBGROUPS * 64];  // 16 by 16 floats per subgroup

uint first_row() { return p.first_row + gl_WorkGroupID.y * kRows; }
uint end_row() { return min(p.end_row, valid_rows(kSource)); }

uvec2 halves_of(vec4 values) {
  return uvec2(packHalf2x16(values.xy), packHalf2x16(values.zw));
}

uint w_place;  // the offset of the 16 columns that are being decoded
void put_w(const uint i, vec4 values) {
  if (i % 2 == 0)
    w_slice[w_place + i / 2].xy = halves_of(values);
  else
    w_slice[w_place + i / 2].zw = halves_of(values);
}
#define WEIGHT_SLICE_PUT(i, values) put_w(i, values)
#include "lib/weight_slice.glsl"

void load_w(const uint first_out, const uint c) {
  for (uint i = gl_LocalInvocationID.x; i < kOuts * (kDepth / 16); i += gl_WorkGroupSize.x) {
    const uint o = i % kOuts;
    const uint half_depth = i / kOuts;
    w_place = o * kStride + half_depth * 2;
    // In the last slice, the second half may be beyond the end of the row.
    const uint col = c + half_depth * 16;
    const uint end = col < p.n_cols ? p.weight_row + p.end_out : 0;
    weight_slice(p.weight, kForm, 0, p.n_cols, p.weight_row + first_out + o, end, col);
  }
}

// Columns c..c+3 of the argument row that gives result row `row`. Missing elements are 0.
vec4 x_values(const uint row, const uint c) {
  if (row >= end_row() || c >= p.n_cols) return vec4(0.0);
  const uint from = source_of(kSource, row) * p.x_width + c;
  if (((p.n_cols | p.x_width) & 3u) == 0) return x4[from / 4];
  vec4 values = vec4(0.0);
  for (uint j = 0; j < 4; ++j)
    if (c + j < p.n_cols) values[j] = x[from + j];
  return values;
}

void load_x(const uint c) {
  for (uint i = gl_LocalInvocationID.x; i < kRows * (kDepth / 8); i += gl_WorkGroupSize.x) {
    const uint m = i % kRows;
    const uint eight = i / kRows;
    const uint row = first_row() + m;
    x_slice[m * kStride + eight] = uvec4(halves_of(x_values(row, c + eight * 8)),
                                         halves_of(x_values(row, c + eight * 8 + 4)));
  }
}

// Writes this subgroup's fragment, whose first element is row `row`, output `o`.
void write_fragment(const uint row, const uint o) {
  for (uint i = gl_SubgroupInvocationID; i < 256; i += gl_SubgroupSize) {
    const uint r = row + i / 16;
    const uint out_at = o + i % 16;
    if (r >= end_row() || out_at >= p.end_out) continue;
    const uint at = (r - p.first_row) * p.n_out + out_at;
    const float value = uintBitsToFloat(fragments[gl_SubgroupID * 64 + i / 4][i % 4]);
    y[at] = product_end(value, out_at, at);
  }
}

void multiply(const uint first_out) {
  // The subgroup's quarter of the tile.
  const uint row = gl_SubgroupID / 2 * 32;
  const uint o = gl_SubgroupID % 2 * 32;
  fcoopmatNV<32, gl_ScopeSubgroup, 16, 16> sums[4];
  for (uint i = 0; i < 4; ++i) sums[i] = fcoopmatNV<32, gl_ScopeSubgroup, 16, 16>(0.0);
  weight_slice_codebook(p.weight, kForm, 0);
  for (uint c = 0; c < p.n_cols; c += kDepth) {
    barrier();
    load_x(c);
    load_w(first_out, c);
    barrier();
    [[unroll]] for (uint k = 0; k < kDepth; k += 16) {
      fcoopmatNV<16, gl_ScopeSubgroup, 16, 16> a[2];
      [[unroll]] for (uint i = 0; i < 2; ++i)
        coopMatLoadNV(a[i], x_slice, (row + 16 * i) * kStride + k / 8, kStride, false);
      [[unroll]] for (uint j = 0; j < 2; ++j) {
        // w_slice is loaded transposed: a row of the slice is a column of the matrix b.
        fcoopmatNV<16, gl_ScopeSubgroup, 16, 16> b;
        coopMatLoadNV(b, w_slice, (o + 16 * j) * kStride + k / 8, kStride, true);
        [[unroll]] for (uint i = 0; i < 2; ++i)
          sums[i * 2 + j] = coopMatMulAddNV(a[i], b, sums[i * 2 + j]);
      }
    }
  }
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    barrier();  // the previous fragment has been written
    coopMatStoreNV(sums[i], fragments, gl_SubgroupID * 64, 4, false);
    barrier();
    write_fragment(first_row() + row + i / 2 * 16, first_out + o + i % 2 * 16);
  }
}

void main() {
  // The condition is uniform in the workgroup.
  if (first_row() < end_row()) multiply(p.first_out + gl_WorkGroupID.x * kOuts);
}

// One workgroup computes a tile of a matrix product on matrix units:
//   sum over c of w[o, c] * x_m[c]   for kOuts rows o of the weight and kRows argument rows m
// Both factors are rounded to halves; sums are float32. Slices of both factors, BX_MATRIX_DEPTH
// columns deep, pass through shared memory. Each subgroup has kTall by kWide fragments of the tile, in
// mt_sums.
//
// The including shader defines
//   MT_PAIRED     constant: if true, the tile has two halves of kOuts / 2 rows of two weights, and
//                 each subgroup has the same outputs of both halves: fragment j of the first half and
//                 fragment j + kWide / 2 of the second half
//   MT_X4(i)      vec4: elements 4i..4i+3 of x
//   MT_X(i)       float: element i of x
//   MT_X_FROM(m)  uint: the element of x with which row m of the tile begins. Rows that are missing
//                 must repeat a row that exists
//   MT_W_FROM(o)  uint: the element of its weight with which row o of the tile begins. Rows that are
//                 missing must repeat a row that exists
//   MT_DECODE(is_second, turned, at, inside)  decodes 16 columns with matrix_weight(); of a row of the
//                 second half if is_second
#ifndef BX_MATRIX_TILE_GLSL
#define BX_MATRIX_TILE_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#pragma use_vulkan_memory_model

#include "params/columns.h"
#include "params/matrix_tile.h"

layout(local_size_x_id = BX_MATRIX_GROUP_SIZE) in;
layout(constant_id = BX_MATRIX_M) const uint kM = 16;
layout(constant_id = BX_MATRIX_N) const uint kN = 16;
layout(constant_id = BX_MATRIX_K) const uint kK = 16;
layout(constant_id = BX_MATRIX_ROWS) const uint kRows = 64;
layout(constant_id = BX_MATRIX_OUTS) const uint kOuts = 64;
layout(constant_id = BX_MATRIX_SUBGROUPS) const uint kSubgroups = 4;
layout(constant_id = BX_MATRIX_ACROSS) const uint kAcross = 2;
layout(constant_id = BX_MATRIX_COLUMNS) const uint kColumns = BX_COLUMNS_ANY;

const uint kDepth = BX_MATRIX_DEPTH;
// A row of a slice has 32 halves, 8 in each uvec4. One unused uvec4 at its end puts consecutive rows
// on different banks of shared memory.
const uint kStride = BX_MATRIX_STRIDE;
const uint kTall = kRows / (kM * (kSubgroups / kAcross));
const uint kWide = kOuts / (kN * kAcross);
// First the slice of x, then that of the weight. After the product, sums pass through the same memory.
shared uvec4 mt_slices[(kRows + kOuts) * kStride];
const uint kWeightSlice = kRows * kStride;

uint mt_place;  // where matrix_weight() stores
#define MATRIX_FULL (kColumns == BX_COLUMNS_FULL)
#define MATRIX_PUT(i, q) mt_slices[mt_place + (i)] = q
#define MATRIX_PUT_PAIR(i, word) mt_slices[mt_place + (i) / 4][(i) % 4] = word
#include "lib/matrix_weight.glsl"

#define MT_SUM coopmat<float, gl_ScopeSubgroup, kM, kN, gl_MatrixUseAccumulator>
#define MT_A coopmat<float16_t, gl_ScopeSubgroup, kM, kK, gl_MatrixUseA>
#define MT_B coopmat<float16_t, gl_ScopeSubgroup, kK, kN, gl_MatrixUseB>
MT_SUM mt_sums[kTall * kWide];

// An item is what an invocation loads at once: 8 columns of x, or 16 columns of a weight.
const uint kXItems = kRows * (kDepth / 8);
const uint kWItems = kOuts * (kDepth / 16);
const uint kXEach = (kXItems + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;
const uint kWEach = (kWItems + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;
uint mt_x_from[kXEach];
uint mt_w_from[kWEach];

uint mt_item(const uint i) { return gl_LocalInvocationID.x + i * gl_WorkGroupSize.x; }
// The first row of the subgroup in the tile, and the first row of its fragment j in the weight slice.
uint mt_row() { return gl_SubgroupID / kAcross * (kTall * kM); }
uint mt_out(const uint j) {
  const uint across = gl_SubgroupID % kAcross;
  if (!MT_PAIRED) return (across * kWide + j) * kN;
  return j / (kWide / 2) * (kOuts / 2) + (across * (kWide / 2) + j % (kWide / 2)) * kN;
}

// How many of n_inside columns are at or beyond column `first`.
uint mt_inside(const uint n_inside, const uint first) { return n_inside - min(n_inside, first); }

vec4 mt_x4(const uint at, const uint n_inside) {
  if (kColumns == BX_COLUMNS_FULL) return MT_X4(at / 4);
  vec4 values = vec4(0.0);
  if (kColumns == BX_COLUMNS_QUADS) {
    if (n_inside > 0) values = MT_X4(at / 4);
  } else {
    [[unroll]] for (uint j = 0; j < 4; ++j)
      if (j < n_inside) values[j] = MT_X(at + j);
  }
  return values;
}

// Loads columns c.. of the slice of x. Columns at or beyond n_inside give zeros.
void mt_load_x(const uint c, const bool turned, const uint n_inside) {
  [[unroll]] for (uint i = 0; i < kXEach; ++i) {
    const uint item = mt_item(i);
    if (kXItems % gl_WorkGroupSize.x != 0 && item >= kXItems) break;
    const uint eight = item % (kDepth / 8);
    const uint at = mt_x_from[i] + c;
    const vec4 first = mt_x4(at, mt_inside(n_inside, 8 * eight));
    const vec4 second = mt_x4(at + 4, mt_inside(n_inside, 8 * eight + 4));
    mt_slices[item / (kDepth / 8) * kStride + eight] =
        turned ? matrix_halves_turned(first, second) : matrix_halves(first, second);
  }
}

// Loads columns c.. of the slice of the weight.
void mt_load_w(const bool turned, const uint c, const uint n_inside) {
  [[unroll]] for (uint i = 0; i < kWEach; ++i) {
    const uint item = mt_item(i);
    if (kWItems % gl_WorkGroupSize.x != 0 && item >= kWItems) break;
    const uint part = item % (kDepth / 16);
    const uint inside = mt_inside(n_inside, 16 * part);
    const bool is_second = MT_PAIRED && item >= kWItems / 2;
    mt_place = kWeightSlice + item / (kDepth / 16) * kStride + part * 2;
    MT_DECODE(is_second, turned, mt_w_from[i] + c, inside);
  }
}

void mt_begin() {
  // The sums begin as products. Otherwise one compiler keeps them in registers that matrix units
  // cannot use, and moves them before and after each product.
  [[unroll]] for (uint i = 0; i < kTall * kWide; ++i)
    mt_sums[i] = coopMatMulAdd(MT_A(0.0), MT_B(0.0), MT_SUM(0.0));
  [[unroll]] for (uint i = 0; i < kXEach; ++i) {
    const uint item = min(mt_item(i), kXItems - 1);
    mt_x_from[i] = MT_X_FROM(item / (kDepth / 8)) + item % (kDepth / 8) * 8;
  }
  [[unroll]] for (uint i = 0; i < kWEach; ++i) {
    const uint item = min(mt_item(i), kWItems - 1);
    mt_w_from[i] = MT_W_FROM(item / (kDepth / 16)) + item % (kDepth / 16) * 16;
  }
}

void mt_load_a(out MT_A a, const uint i, const uint k) {
  coopMatLoad(a, mt_slices, (mt_row() + i * kM) * kStride + k / 8, kStride,
              gl_CooperativeMatrixLayoutRowMajor);
}
// A row of the slice is a column of the matrix b.
void mt_load_b(out MT_B b, const uint j, const uint k) {
  coopMatLoad(b, mt_slices, kWeightSlice + mt_out(j) * kStride + k / 8, kStride,
              gl_CooperativeMatrixLayoutColumnMajor);
}

// Multiplies the two slices and adds to mt_sums. Keeps the fragments of the side that has fewer of
// them in registers.
void mt_multiply_slices() {
  [[unroll]] for (uint k = 0; k < kDepth; k += kK) {
    if (kTall <= kWide) {
      MT_A a[kTall];
      [[unroll]] for (uint i = 0; i < kTall; ++i) mt_load_a(a[i], i, k);
      [[unroll]] for (uint j = 0; j < kWide; ++j) {
        MT_B b;
        mt_load_b(b, j, k);
        [[unroll]] for (uint i = 0; i < kTall; ++i)
          mt_sums[i * kWide + j] = coopMatMulAdd(a[i], b, mt_sums[i * kWide + j]);
      }
    } else {
      MT_B b[kWide];
      [[unroll]] for (uint j = 0; j < kWide; ++j) mt_load_b(b[j], j, k);
      [[unroll]] for (uint i = 0; i < kTall; ++i) {
        MT_A a;
        mt_load_a(a, i, k);
        [[unroll]] for (uint j = 0; j < kWide; ++j)
          mt_sums[i * kWide + j] = coopMatMulAdd(a, b[j], mt_sums[i * kWide + j]);
      }
    }
  }
}

// Adds the products of `n_cols` columns to mt_sums. `turned` says in which order the columns of both
// slices are. The caller has loaded the codebooks. All invocations of the workgroup must call this
// function, in uniform control flow. A shader calls it in one place: for sums that two branches compute,
// Intel's compiler needs twice the registers.
void mt_product(const bool turned, const uint n_cols) {
  mt_begin();
  for (uint c = 0; c < n_cols; c += kDepth) {
    barrier();
    mt_load_x(c, turned, n_cols - c);
    mt_load_w(turned, c, n_cols - c);
    barrier();
    mt_multiply_slices();
  }
  barrier();
}

// subgroupBarrier() would also make other memory visible, for which some compilers empty a cache.
void mt_subgroup_barrier() {
  controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                 gl_SemanticsAcquireRelease);
}

// Copies a fragment to the subgroup's part of shared memory. All invocations of the subgroup must
// call this function. The invocation then reads its kEach elements with mt_element().
const uint kLanes = gl_WorkGroupSize.x / kSubgroups;
const uint kEach = kM * kN / kLanes;
void mt_put(const MT_SUM fragment) {
  mt_subgroup_barrier();  // the elements of the previous fragment have been read
  coopMatStore(fragment, mt_slices, gl_SubgroupID * (kM * kN / 4), kN / 4,
               gl_CooperativeMatrixLayoutRowMajor);
  mt_subgroup_barrier();
}
uint mt_element_row(const uint i) { return (gl_SubgroupInvocationID + i * kLanes) / kN; }
uint mt_element_column(const uint i) { return (gl_SubgroupInvocationID + i * kLanes) % kN; }
float mt_element(const uint i) {
  const uint at = gl_SubgroupInvocationID + i * kLanes;
  return uintBitsToFloat(mt_slices[gl_SubgroupID * (kM * kN / 4) + at / 4][at % 4]);
}

#endif

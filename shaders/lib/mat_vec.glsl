// One subgroup multiplies a few weight rows by a few argument rows. Each lane takes some of the
// columns, and each weight byte is read only once.
//
// The including shader defines
//   MV_CODES      constant: how codes become floats, see params/mat_vec.h
//   MV_OUTS       constant: the number of weight rows, and so of outputs, per subgroup
//   MV_ROWS       constant: the number of argument rows
//   MV_X4(at, i)  vec4: elements 4i..4i+3 of the argument row at `at` (a number that the shader
//                 chooses, such as an offset in elements); only used when n_cols % 4 == 0
//   MV_X(at, c)   float: element c of the argument row at `at`
//   CODEBOOKS     constant: see lib/codebook.glsl
// Its workgroups must consist of whole subgroups. All lanes of a subgroup must call the functions
// of this file with the same arguments, in uniform control flow.
//
// If BX_INTEGER_DOTS is defined, the products are integer dot products (lib/mat_vec_dots.glsl), and
// all invocations of the workgroup must call mat_vec_add() together. Then kWholeGroups is true.
#ifndef BX_MAT_VEC_GLSL
#define BX_MAT_VEC_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require

#include "lib/codebook.glsl"
#include "lib/lanes_sum.glsl"
#include "lib/weight.glsl"
#include "params/mat_vec.h"

#ifdef BX_INTEGER_DOTS
const bool kWholeGroups = true;
#else
const bool kWholeGroups = false;
#endif

// mv_acc[o * MV_ROWS + r] is the sum for weight row o and argument row r. The array is global,
// because a function cannot take an array whose size is a specialization constant.
float mv_acc[MV_OUTS * MV_ROWS];

void mat_vec_clear() {
  for (uint i = 0; i < MV_OUTS * MV_ROWS; ++i) mv_acc[i] = 0.0;
}

// The names of local variables begin with mv_. The macros MV_X and MV_X4 are expanded next to these
// variables and may refer to any other name of the including shader.

// mat_vec_add() for weights of any form. A lane reads one element of each row at a time.
void mat_vec_add_any(const WeightAddress w, const uint form, const uint n_cols,
                     const uint first_row, const uint end_row, const uint x_at,
                     const uint x_stride) {
  for (uint mv_k = gl_SubgroupInvocationID; mv_k < n_cols; mv_k += gl_SubgroupSize) {
    float mv_x[MV_ROWS];
    for (uint mv_r = 0; mv_r < MV_ROWS; ++mv_r) mv_x[mv_r] = MV_X(x_at + mv_r * x_stride, mv_k);
    for (uint mv_o = 0; mv_o < MV_OUTS; ++mv_o) {
      const float value = weight_at(w, form, min(first_row + mv_o, end_row - 1) * n_cols + mv_k);
      for (uint mv_r = 0; mv_r < MV_ROWS; ++mv_r)
        mv_acc[mv_o * MV_ROWS + mv_r] += value * mv_x[mv_r];
    }
  }
}

// sum + dot(a, b). The products are added one by one, because some compilers make dot() one
// product, three multiply-adds and an addition.
float mat_vec_dot(const vec4 a, const vec4 b, const float sum) {
  return a.w * b.w + (a.z * b.z + (a.y * b.y + (a.x * b.x + sum)));
}

// The rows of the weight. Their addresses are the same for all lanes, so they are computed once, and
// what a lane adds to them is the same for all rows. Rows begin at multiples of 16 bytes.
uint mv_rows[MV_OUTS];
uvec2 mv_row_data[MV_OUTS];
uvec2 mv_row_pairs[MV_OUTS];  // scales and biases (affine)

void mat_vec_place_rows(const WeightAddress w, const uint form, const uint n_cols,
                        const uint first_row, const uint end_row, const uint cols_per_quad) {
  for (uint o = 0; o < MV_OUTS; ++o) {
    mv_rows[o] = min(first_row + o, end_row - 1);
    mv_row_data[o] = part_address(w.data, mv_rows[o] * (n_cols / cols_per_quad));
    if (form_affine(form))
      mv_row_pairs[o] =
          address_plus(part_address(w.data, w.scales),
                       mv_rows[o] * (n_cols / form_group(form)) * form_pair_bytes(form));
  }
}

// Whether a turn of the loop over floats finishes one argument row before it begins the next one, with
// all values of the weight in registers. Intel's compiler keeps two registers for a sum that changes in
// several places of a loop, and then many rows do not fit. With mixed products, the values of a weight
// of float16 take no registers, as long as they are not needed for long.
const bool kRowByRow =
    MV_ROWS > 4 && MV_CODES != BX_CODES_AS_HALVES && MV_CODES != BX_CODES_AS_LARGE_HALVES;

// Adds the products of `n_quads` quads (16 bytes of floats) of each row: quads `quad`, `quad` + the
// size of the subgroup, ... All of them are asked for before anything is computed. Several rows take
// one quad.
void mat_vec_add_quads(const uint form, const uint x_at, const uint x_stride, const uint quad,
                       const uint n_quads) {
  const uint vec4s = form_format(form) == BX_F32 ? 1 : 2;  // vec4s in a quad
  uvec4 quads[MV_OUTS * 2];
  for (uint o = 0; o < MV_OUTS; ++o) {
    Quads first = Quads(address_plus(mv_row_data[o], 16 * quad));
    for (uint q = 0; q < n_quads; ++q) quads[o * 2 + q] = first.at[q * gl_SubgroupSize];
  }
  if (kRowByRow) {
    vec4 values[MV_OUTS * 2];
    for (uint o = 0; o < MV_OUTS; ++o) {
      values[o * 2] = dense4_of(form_format(form), quads[o * 2]);
      if (vec4s == 2) values[o * 2 + 1] = dense4_of(form_format(form), quads[o * 2].zwxy);
    }
    [[unroll]] for (uint mv_r = 0; mv_r < MV_ROWS; ++mv_r)
      [[unroll]] for (uint v = 0; v < vec4s; ++v) {
        const vec4 x_values = MV_X4(x_at + mv_r * x_stride, quad * vec4s + v);
        for (uint o = 0; o < MV_OUTS; ++o)
          mv_acc[o * MV_ROWS + mv_r] =
              mat_vec_dot(values[o * 2 + v], x_values, mv_acc[o * MV_ROWS + mv_r]);
      }
    return;
  }
  for (uint q = 0; q < n_quads; ++q)
    for (uint v = 0; v < vec4s; ++v) {
      const uint mv_i = (quad + q * gl_SubgroupSize) * vec4s + v;
      vec4 values[MV_OUTS];
      for (uint o = 0; o < MV_OUTS; ++o) {
        values[o] = dense4_of(form_format(form), quads[o * 2 + q]);
        quads[o * 2 + q] = quads[o * 2 + q].zwxy;
      }
      for (uint mv_r = 0; mv_r < MV_ROWS; ++mv_r) {
        const vec4 x_values = MV_X4(x_at + mv_r * x_stride, mv_i);
        for (uint o = 0; o < MV_OUTS; ++o)
          mv_acc[o * MV_ROWS + mv_r] = mat_vec_dot(values[o], x_values, mv_acc[o * MV_ROWS + mv_r]);
      }
    }
}

// mat_vec_add() for aligned weights of floats. A lane reads 16 bytes of each row at a time, and for
// one argument row twice, so that the addresses of rows serve twice as many products.
void mat_vec_add_dense(const WeightAddress w, const uint form, const uint n_cols,
                       const uint first_row, const uint end_row, const uint x_at,
                       const uint x_stride) {
  const uint cols_per_quad = form_format(form) == BX_F32 ? 4 : 8;
  const uint row_quads = n_cols / cols_per_quad;
  mat_vec_place_rows(w, form, n_cols, first_row, end_row, cols_per_quad);
  uint quad = gl_SubgroupInvocationID;
  if (MV_ROWS == 1)
    for (; quad + gl_SubgroupSize < row_quads; quad += 2 * gl_SubgroupSize)
      mat_vec_add_quads(form, x_at, x_stride, quad, 2);
  for (; quad < row_quads; quad += gl_SubgroupSize)
    mat_vec_add_quads(form, x_at, x_stride, quad, 1);
}

// The four bytes of a word as floats. Compilers have conversions of single bytes (AMD's
// v_cvt_f32_ubyte0..3, NVIDIA's I2F.U8, byte regions on Intel), so each takes one instruction.
vec4 mat_vec_bytes(const uint word) {
  return vec4(word & 255u, word >> 8 & 255u, word >> 16 & 255u, word >> 24);
}

// A unit of each weight row: `n_words` words of codes, 4 (16 bytes, read at once) or 1. A run of
// codes has one scale: all codes of the unit or half of them.
uvec4 mv_codes[MV_OUTS];
vec2 mv_scales[MV_OUTS * 2];  // scale and bias (affine) of each run

uint mat_vec_word_cols(const uint form) { return form_format(form) == BX_Q8 ? 4 : 8; }
uint mat_vec_runs(const uint form, const uint n_words) {
  return form_group(form) % (n_words * mat_vec_word_cols(form)) == 0 ? 1 : 2;
}

// Loads unit `unit` of each row. Codes and scales are asked for before anything is computed, so
// that their latencies overlap.
void mat_vec_load(const WeightAddress w, const uint form, const uint n_cols, const uint unit,
                  const uint n_words) {
  const uint n_runs = mat_vec_runs(form, n_words);
  const uint run_cols = n_words * mat_vec_word_cols(form) / n_runs;
  for (uint o = 0; o < MV_OUTS; ++o) {
    mv_codes[o] = n_words == 4 ? Quads(mv_row_data[o]).at[unit]
                               : uvec4(Words(mv_row_data[o]).at[unit], 0, 0, 0);
    for (uint run = 0; run < n_runs; ++run) {
      const uint run_of_row = unit * n_runs + run;
      if (form_affine(form))
        mv_scales[2 * o + run] = scale_and_bias_at(mv_row_pairs[o], form,
                                                   run_of_row / (form_group(form) / run_cols));
      else
        mv_scales[2 * o + run].x =
            absmax_of(w, form, (mv_rows[o] * n_cols + run_of_row * run_cols) / form_group(form));
    }
  }
}

bool mat_vec_as_halves(const uint form) {
  return form_format(form) == BX_Q4 &&
         (MV_CODES == BX_CODES_AS_HALVES || MV_CODES == BX_CODES_AS_LARGE_HALVES);
}
bool mat_vec_as_bytes(const uint form) {
  return form_format(form) == BX_Q4 && !mat_vec_as_halves(form);
}

// What mat_vec_decode() adds to the codes of even and of odd columns. (This is no vec2, because
// some drivers choose wrongly between vectors that are constants.)
float mat_vec_even_offset(const uint form) {
  if (!mat_vec_as_halves(form)) return 0.0;
  return MV_CODES == BX_CODES_AS_HALVES ? 16.0 : 1024.0;
}
float mat_vec_odd_offset(const uint form) {
  if (!mat_vec_as_halves(form)) return 0.0;
  return MV_CODES == BX_CODES_AS_HALVES ? 16.0 : 64.0;
}

// The values of the codes of a word, without scale and bias. Codes of 8 bits have no `high`.
//
// An affine code of 4 bits is not taken out of its word. As bytes: `word & 0x0f0f0f0f` has the even
// codes (`low`), `word & 0xf0f0f0f0` has the odd codes, 16 times too large (`high`). These are 2 +
// 8 instructions for 8 codes; shifts and masks would take 15 + 8.
//
// As halves: codes k and k + 4 become the mantissas of two halves, 16 + code. That takes a shift
// and an instruction for mask and exponent, and nothing more where a product takes a half of a
// register as a factor (8 instructions for 8 codes). Without shifts, two codes in four lie in lower
// bits of the mantissa: these halves are 1024 + code and 64 + code (5 instructions). The offset is
// taken out of the sums, so the error grows with it.
void mat_vec_decode(const uint form, const uint book, const uint word, out vec4 low,
                    out vec4 high) {
  if (mat_vec_as_halves(form)) {
    const bool large = MV_CODES == BX_CODES_AS_LARGE_HALVES;
    const uint upper = word >> 8;
    const vec2 both[4] = vec2[4](
        unpackHalf2x16(large ? word & 0x000f000fu | 0x64006400u
                             : word << 6 & 0x03c003c0u | 0x4c004c00u),
        unpackHalf2x16(large ? word & 0x00f000f0u | 0x54005400u
                             : word << 2 & 0x03c003c0u | 0x4c004c00u),
        unpackHalf2x16(large ? upper & 0x000f000fu | 0x64006400u
                             : word >> 2 & 0x03c003c0u | 0x4c004c00u),
        unpackHalf2x16(large ? upper & 0x00f000f0u | 0x54005400u
                             : word >> 6 & 0x03c003c0u | 0x4c004c00u));
    low = vec4(both[0].x, both[1].x, both[2].x, both[3].x);
    high = vec4(both[0].y, both[1].y, both[2].y, both[3].y);
  } else if (form_affine(form)) {
    low = mat_vec_bytes(form_format(form) == BX_Q8 ? word : word & 0x0f0f0f0fu);
    high = mat_vec_bytes(word & 0xf0f0f0f0u);
  } else {
    codebook_values(book, word, low, high);
  }
}

// The elements of an argument row that belong to the codes of word `mv_word` of the row. If the lane
// is not `inside` the row, zeros.
void mat_vec_x(const uint form, const uint mv_at, const uint mv_word, const bool inside,
               out vec4 low, out vec4 high) {
  low = high = vec4(0.0);
  if (!inside) return;
  const bool bytes = form_format(form) == BX_Q8;
  const uint mv_i = bytes ? mv_word : 2 * mv_word;
  const vec4 first = MV_X4(mv_at, mv_i);
  const vec4 second = bytes ? vec4(0.0) : MV_X4(mv_at, mv_i + 1);
  const bool alternate = mat_vec_as_bytes(form);
  low = alternate ? vec4(first.xz, second.xz) : first;
  high = alternate ? vec4(first.yw, second.yw) : second;
}

// Adds the products of the loaded unit with one argument row. The scale and the bias of a run are
// applied to its sums.
void mat_vec_add_row(const uint form, const uint book, const uint x_at, const uint unit,
                     const bool inside, const uint n_words) {
  const bool has_high = form_format(form) != BX_Q8;
  const bool two_sums = mat_vec_as_bytes(form);
  const bool two_offsets = mat_vec_as_halves(form) && MV_CODES == BX_CODES_AS_LARGE_HALVES;
  const float even_offset = mat_vec_even_offset(form);
  const float odd_offset = mat_vec_odd_offset(form);
  const uint n_runs = mat_vec_runs(form, n_words);
  for (uint run = 0; run < n_runs; ++run) {
    float low_sum[MV_OUTS];
    float high_sum[MV_OUTS];  // of codes that are 16 times too large
    for (uint o = 0; o < MV_OUTS; ++o) low_sum[o] = high_sum[o] = 0.0;
    vec2 x_sums = vec2(0.0);  // with two offsets, of even and of odd columns
    // On CPUs, the unrolled shuffles of a codebook would not fit into the registers. A bound that is
    // no constant prevents the unrolling.
    const uint n_loops = MV_CODES == BX_CODES_IN_LANES && form_format(form) == BX_NF4
                             ? min(n_words / n_runs, 4 * gl_NumSubgroups)
                             : n_words / n_runs;
    [[unroll]] for (uint k = 0; k < n_loops; ++k) {
      vec4 x_low, x_high;
      mat_vec_x(form, x_at, unit * n_words + run * (n_words / n_runs) + k, inside,
                x_low, x_high);
      const vec2 x_four = (x_low.xy + x_low.zw) + (x_high.xy + x_high.zw);
      if (form_affine(form)) x_sums += two_offsets ? x_four : vec2(x_four.x + x_four.y, 0.0);
      for (uint o = 0; o < MV_OUTS; ++o) {
        vec4 low, high;
        mat_vec_decode(form, book, mv_codes[o].x, low, high);
        mv_codes[o] = mv_codes[o].yzwx;
        low_sum[o] = mat_vec_dot(low, x_low, low_sum[o]);
        if (two_sums)
          high_sum[o] = mat_vec_dot(high, x_high, high_sum[o]);
        else if (has_high)
          low_sum[o] = mat_vec_dot(high, x_high, low_sum[o]);
      }
    }
    const float x_sum = x_sums.x + x_sums.y;
    const float of_offsets =
        two_offsets ? even_offset * x_sums.x + odd_offset * x_sums.y : even_offset * x_sum;
    for (uint o = 0; o < MV_OUTS; ++o) {
      const vec2 scale = mv_scales[2 * o + run];
      const float sum = two_sums ? high_sum[o] * 0.0625 + low_sum[o] : low_sum[o];
      mv_acc[o] = scale.x * (mat_vec_as_halves(form) ? sum - of_offsets : sum) + mv_acc[o];
      if (form_affine(form)) mv_acc[o] = scale.y * x_sum + mv_acc[o];
    }
  }
}

// Adds the products of the loaded unit with several argument rows. Each code gets its scale and
// bias before it is multiplied: with three rows or more, this takes fewer instructions, and it
// takes far fewer registers, because there are no sums of runs.
void mat_vec_add_rows(const uint form, const uint book, const uint x_at, const uint x_stride,
                      const uint unit, const bool inside, const uint n_words) {
  const bool has_high = form_format(form) != BX_Q8;
  const float even_offset = mat_vec_even_offset(form);
  const float odd_offset = mat_vec_odd_offset(form);
  const uint n_runs = mat_vec_runs(form, n_words);
  // One loop over the words, also of two runs: the array of scales is indexed by constants even where a
  // compiler does not unroll it.
  for (uint k = 0; k < n_words; ++k) {
    const bool in_second_run = n_runs == 2 && 2 * k >= n_words;
    vec4 low[MV_OUTS], high[MV_OUTS];
    for (uint o = 0; o < MV_OUTS; ++o) {
      mat_vec_decode(form, book, mv_codes[o].x, low[o], high[o]);
      mv_codes[o] = mv_codes[o].yzwx;
      const vec2 scale = in_second_run ? mv_scales[2 * o + 1] : mv_scales[2 * o];
      const float high_scale = mat_vec_as_bytes(form) ? 0.0625 * scale.x : scale.x;
      const float bias = form_affine(form) ? scale.y : 0.0;
      const float even_bias = bias - even_offset * scale.x;
      const float odd_bias = bias - odd_offset * scale.x;
      const vec4 biases = vec4(even_bias, odd_bias, even_bias, odd_bias);
      low[o] = low[o] * scale.x + biases;
      high[o] = high[o] * high_scale + biases;
    }
    [[unroll]] for (uint r = 0; r < MV_ROWS; ++r) {
      vec4 x_low, x_high;
      mat_vec_x(form, x_at + r * x_stride, unit * n_words + k, inside, x_low, x_high);
      for (uint o = 0; o < MV_OUTS; ++o) {
        const uint i = o * MV_ROWS + r;
        mv_acc[i] = mat_vec_dot(low[o], x_low, mv_acc[i]);
        if (has_high) mv_acc[i] = mat_vec_dot(high[o], x_high, mv_acc[i]);
      }
    }
  }
}

// Adds the products of unit `unit` of each row, if it is below `end`. Lanes whose unit is not have
// nothing to do. But if the codebook is in lanes, they still take part in the shuffles.
void mat_vec_add_unit(const WeightAddress w, const uint form, const uint book, const uint n_cols,
                      const uint x_at, const uint x_stride, const uint unit, const uint end,
                      const uint n_words) {
  const bool all_lanes = form_format(form) == BX_NF4 && MV_CODES == BX_CODES_IN_LANES;
  if (!all_lanes && unit >= end) return;
  const bool inside = !all_lanes || unit < end;
  mat_vec_load(w, form, n_cols, all_lanes ? min(unit, end - 1) : unit, n_words);
  if (MV_ROWS == 1)
    mat_vec_add_row(form, book, x_at, unit, inside, n_words);
  else
    mat_vec_add_rows(form, book, x_at, x_stride, unit, inside, n_words);
}

// mat_vec_add() for aligned weights of codes. A lane reads 16 bytes of each row at a time. If the
// last turn would leave at least half of the lanes without work, all lanes share its columns: they
// read words, for one or two turns.
void mat_vec_add_coded(const WeightAddress w, const uint form, const uint book, const uint n_cols,
                       const uint first_row, const uint end_row, const uint x_at,
                       const uint x_stride) {
  const uint cols_per_quad = 4 * mat_vec_word_cols(form);
  const uint n_quads = n_cols / cols_per_quad;
  mat_vec_place_rows(w, form, n_cols, first_row, end_row, cols_per_quad);
  const uint left = n_quads % gl_SubgroupSize;
  const uint end_quad = 2 * left <= gl_SubgroupSize ? n_quads - left : n_quads;
  spread_codebook(w, form);
  for (uint quad = 0; quad < end_quad; quad += gl_SubgroupSize)
    mat_vec_add_unit(w, form, book, n_cols, x_at, x_stride, quad + gl_SubgroupInvocationID,
                     end_quad, 4);
  for (uint word = 4 * end_quad; word < 4 * n_quads; word += gl_SubgroupSize)
    mat_vec_add_unit(w, form, book, n_cols, x_at, x_stride, word + gl_SubgroupInvocationID,
                     4 * n_quads, 1);
}

#ifdef BX_INTEGER_DOTS
#include "lib/mat_vec_dots.glsl"
#endif

// Adds this lane's part of
//   mv_acc[o * MV_ROWS + r] += sum_k w[first_row + o, k] * x_r[k],   x_r at x_at + r * x_stride
// for o < MV_OUTS. Rows are those of the flattened [n_matrices * rows, n_cols] weight. Rows at or
// beyond `end_row` are computed as row end_row - 1, and the caller must ignore them. mat_vec_sum()
// must follow to sum over the lanes. `book` is the number of the weight's codebook
// (lib/codebook.glsl).
void mat_vec_add(const WeightAddress w, const uint form, const uint book, const uint n_cols,
                 const uint first_row, const uint end_row, const uint x_at, const uint x_stride) {
#ifdef BX_INTEGER_DOTS
  mat_vec_add_dots(w, form, n_cols, first_row, end_row, x_at, x_stride);
#else
  if (!form_aligned(form))
    mat_vec_add_any(w, form, n_cols, first_row, end_row, x_at, x_stride);
  else if (form_format(form) < BX_Q4)
    mat_vec_add_dense(w, form, n_cols, first_row, end_row, x_at, x_stride);
  else
    mat_vec_add_coded(w, form, book, n_cols, first_row, end_row, x_at, x_stride);
#endif
}

// Multiplies the sums of argument row r by a factor.
void mat_vec_scale(const uint r, const float factor) {
  for (uint o = 0; o < MV_OUTS; ++o) mv_acc[o * MV_ROWS + r] *= factor;
}

// A step of mat_vec_sum(). As long as there are several sums, a lane adds up every second one for
// itself and its neighbor at this distance, and the neighbor does the same with the other sums. The
// numbers of sums are constants, so that the loops are unrolled even if a compiler learns the size
// of the subgroup late.
#define BX_MAT_VEC_SUM_STEP(distance)                                                      \
  if (distance < gl_SubgroupSize) {                                                        \
    const uint n = (MV_OUTS * MV_ROWS + distance - 1) / distance;                          \
    const bool upper = (gl_SubgroupInvocationID & distance) != 0;                          \
    if (n == 1) mv_acc[0] += subgroupShuffleXor(mv_acc[0], distance);                      \
    for (uint j = 0; j < n / 2; ++j) {                                                     \
      const float even = mv_acc[2 * j];                                                    \
      const float odd = mv_acc[2 * j + 1];                                                 \
      mv_acc[j] = (upper ? odd : even) + subgroupShuffleXor(upper ? even : odd, distance); \
    }                                                                                      \
    if (n > 1 && n % 2 == 1)                                                               \
      mv_acc[n / 2] = mv_acc[n - 1] + subgroupShuffleXor(mv_acc[n - 1], distance);         \
  }

// Sums mv_acc over the lanes of the subgroup. Afterwards, lane i % gl_SubgroupSize has the i-th sum
// in mv_acc[i / gl_SubgroupSize]. Four sums of 64 lanes take 7 shuffles. If every lane got every
// sum, they would take 24, and each lane would then have to choose its own.
void mat_vec_sum() { BX_EACH_DISTANCE(BX_MAT_VEC_SUM_STEP) }

// The most sums of a lane after mat_vec_sum(): a subgroup has at least 4 lanes.
#define MV_SUMS_OF_LANE ((MV_OUTS * MV_ROWS + 3) / 4)
// The number of the sum that this lane has in mv_acc[j]. It may be MV_OUTS * MV_ROWS or more: then
// there is none.
uint mat_vec_sum_index(const uint j) { return j * gl_SubgroupSize + gl_SubgroupInvocationID; }

#endif

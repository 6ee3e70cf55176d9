// One subgroup multiplies a few weight rows by a few argument rows. Each lane takes some of the
// columns, and each weight byte is read only once.
//
// The including shader defines
//   MV_OUTS       constant: the number of weight rows, and so of outputs, per subgroup
//   MV_ROWS       constant: the number of argument rows
//   MV_X4(at, i)  vec4: elements 4i..4i+3 of the argument row at `at` (a number that the shader
//                 chooses, such as an offset in elements); only used when n_cols % 4 == 0
//   MV_X(at, c)   float: element c of the argument row at `at`
// Its workgroups must consist of whole subgroups. All lanes of a subgroup must call the functions
// of this file with the same arguments, in uniform control flow.
#ifndef BX_MAT_VEC_GLSL
#define BX_MAT_VEC_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

#include "lib/codebook.glsl"
#include "lib/weight.glsl"

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

// mat_vec_add() for aligned weights of floats. A lane reads 16 bytes of each row at a time.
void mat_vec_add_dense(const WeightAddress w, const uint form, const uint n_cols,
                       const uint first_row, const uint end_row, const uint x_at,
                       const uint x_stride) {
  const uint vec4s = form_format(form) == BX_F32 ? 1 : 2;  // vec4s in a quad
  const uint n_quads = n_cols / (4 * vec4s);
  for (uint mv_quad = gl_SubgroupInvocationID; mv_quad < n_quads; mv_quad += gl_SubgroupSize) {
    uvec4 quads[MV_OUTS];
    for (uint o = 0; o < MV_OUTS; ++o)
      quads[o] = Quads(w.data).at[min(first_row + o, end_row - 1) * n_quads + mv_quad];
    for (uint mv_v = 0; mv_v < vec4s; ++mv_v) {
      vec4 mv_x[MV_ROWS];
      for (uint mv_r = 0; mv_r < MV_ROWS; ++mv_r)
        mv_x[mv_r] = MV_X4(x_at + mv_r * x_stride, mv_quad * vec4s + mv_v);
      for (uint o = 0; o < MV_OUTS; ++o) {
        const vec4 values = dense4_of(form_format(form), quads[o]);
        quads[o] = quads[o].zwxy;
        for (uint r = 0; r < MV_ROWS; ++r) mv_acc[o * MV_ROWS + r] += dot(values, mv_x[r]);
      }
    }
  }
}

// The values of four codes of a word. `first` is the first of them: 0, or 4 for codes of 4 bits.
vec4 mat_vec_codes(const uint word, const uint first, const uint form, const Codebook book) {
  if (form_format(form) == BX_Q8) return vec4(uvec4(word) >> uvec4(0, 8, 16, 24) & 255u);
  const uvec4 codes = uvec4(word) >> 4 * first + uvec4(0, 4, 8, 12) & 15u;
  return form_affine(form) ? vec4(codes) : codebook_values(book, codes);
}

// mat_vec_add() for aligned weights of codes. A lane reads 16 bytes of each row at a time. For each
// run of columns with the same scale (all or half of the 16 bytes), it computes the sum of code * x
// and the sum of x, and scales both sums once.
void mat_vec_add_coded(const WeightAddress w, const uint form, const uint n_cols,
                       const uint first_row, const uint end_row, const uint x_at,
                       const uint x_stride) {
  const bool affine = form_affine(form);
  const uint halves = form_format(form) == BX_Q8 ? 1 : 2;  // vec4s in a word
  const uint quad_cols = 16 * halves;
  const uint run_words = form_group(form) % quad_cols == 0 ? 4 : 2;
  const Codebook book = codebook_of(w, form);
  const uint n_quads = n_cols / quad_cols;
  // All lanes run the same number of rounds, because codebook_values() may read from other lanes.
  for (uint mv_first = 0; mv_first < n_quads; mv_first += gl_SubgroupSize) {
    const bool inside = mv_first + gl_SubgroupInvocationID < n_quads;
    const uint mv_quad = min(mv_first + gl_SubgroupInvocationID, n_quads - 1);
    uvec4 codes[MV_OUTS];
    for (uint o = 0; o < MV_OUTS; ++o)
      codes[o] = Quads(w.data).at[min(first_row + o, end_row - 1) * n_quads + mv_quad];
    for (uint mv_run = 0; mv_run < 4; mv_run += run_words) {
      float part[MV_OUTS * MV_ROWS];
      float x_sum[MV_ROWS];
      for (uint i = 0; i < MV_OUTS * MV_ROWS; ++i) part[i] = 0.0;
      for (uint r = 0; r < MV_ROWS; ++r) x_sum[r] = 0.0;
      for (uint mv_word = mv_run; mv_word < mv_run + run_words; ++mv_word) {
        vec4 mv_low[MV_ROWS], mv_high[MV_ROWS];  // mv_high is unused for codes of 8 bits
        for (uint mv_r = 0; mv_r < MV_ROWS; ++mv_r) {
          const uint mv_i = (mv_quad * 4 + mv_word) * halves;
          mv_low[mv_r] = MV_X4(x_at + mv_r * x_stride, mv_i);
          mv_high[mv_r] = halves == 2 ? MV_X4(x_at + mv_r * x_stride, mv_i + 1) : vec4(0.0);
          if (affine) x_sum[mv_r] += dot(mv_low[mv_r], vec4(1.0)) + dot(mv_high[mv_r], vec4(1.0));
        }
        for (uint o = 0; o < MV_OUTS; ++o) {
          const vec4 low = mat_vec_codes(codes[o].x, 0, form, book);
          const vec4 high = halves == 2 ? mat_vec_codes(codes[o].x, 4, form, book) : vec4(0.0);
          codes[o] = codes[o].yzwx;
          for (uint r = 0; r < MV_ROWS; ++r)
            part[o * MV_ROWS + r] += dot(low, mv_low[r]) + dot(high, mv_high[r]);
        }
      }
      for (uint o = 0; o < MV_OUTS; ++o) {
        const uint at = min(first_row + o, end_row - 1) * n_cols + mv_quad * quad_cols;
        const uint group = (at + mv_run * 4 * halves) / form_group(form);
        const float scale = affine ? scale_of(w, form, group) : absmax_of(w, form, group);
        const float bias = affine ? bias_of(w, form, group) : 0.0;
        for (uint r = 0; r < MV_ROWS; ++r) {
          const uint i = o * MV_ROWS + r;
          const float sum = affine ? scale * part[i] + bias * x_sum[r] : scale * part[i];
          mv_acc[i] += inside ? sum : 0.0;
        }
      }
    }
  }
}

// Adds this lane's part of
//   mv_acc[o * MV_ROWS + r] += sum_k w[first_row + o, k] * x_r[k],   x_r at x_at + r * x_stride
// for o < MV_OUTS. Rows are those of the flattened [n_matrices * rows, n_cols] weight. Rows at or
// beyond `end_row` are computed as row end_row - 1, and the caller must ignore them. mat_vec_sum()
// must follow to sum over the lanes.
void mat_vec_add(const WeightAddress w, const uint form, const uint n_cols, const uint first_row,
                 const uint end_row, const uint x_at, const uint x_stride) {
  if (!form_aligned(form))
    mat_vec_add_any(w, form, n_cols, first_row, end_row, x_at, x_stride);
  else if (form_format(form) < BX_Q4)
    mat_vec_add_dense(w, form, n_cols, first_row, end_row, x_at, x_stride);
  else
    mat_vec_add_coded(w, form, n_cols, first_row, end_row, x_at, x_stride);
}

// Sums mv_acc over the lanes of the subgroup. Every lane gets the result.
void mat_vec_sum() {
  for (uint i = 0; i < MV_OUTS * MV_ROWS; ++i) mv_acc[i] = subgroupAdd(mv_acc[i]);
}

#endif

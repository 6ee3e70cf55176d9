// mat_vec_add() with integer dot products, for aligned weights with affine codes and groups of whole
// blocks (below). lib/mat_vec.glsl includes this file if BX_INTEGER_DOTS is defined.
//
// The workgroup writes its argument rows to shared memory as integers: in each block of columns,
// x = scale * n with |n| <= limit, and n is cut into bytes ("limbs") n = sum_l 256^l * byte_l, each
// from -128 to 127. A dot product multiplies four codes by four bytes. So a weight costs a fraction of
// an instruction for each limb, and no conversion. The rounding of x is that of a float of 20 to 22
// bits with three limbs, and of 15 bits with two.
//
// A block has the columns whose codes a lane reads at once: 32 columns with codes of 4 bits, 16 with
// codes of 8 bits.
#ifndef BX_MAT_VEC_DOTS_GLSL
#define BX_MAT_VEC_DOTS_GLSL

#include "lib/integer_dot.glsl"

const uint kDotCols = 4096 / MV_ROWS / 256 * 256;  // columns of each row that shared memory holds
const uint kLimbs = MV_CODES == BX_CODES_AS_TWO_LIMBS ? 2 : 3;

// Quads of words: limbs of 16 columns.
shared uvec4 dot_limbs[MV_ROWS * kLimbs * (kDotCols / 16)];
// The scale of a block, and scale times the sum of its integers.
shared vec2 dot_scales[MV_ROWS * (kDotCols / 16)];
// Set this while the rows in shared memory are multiplied by another weight of the same format.
bool dot_keeps_x = false;

uint dot_block_cols(const uint form) { return form_format(form) == BX_Q4 ? 32 : 16; }

// The quad of limb l with the words of block `block` of row r. Codes of 4 bits: the words are a pair
// for each word of codes, first the even columns, then the odd ones; so a block has two quads.
// Codes of 8 bits: a word for each word of codes. Neighboring lanes read neighboring quads.
uint dot_at(const uint form, const uint r, const uint l, const uint block, const uint quad) {
  const uint n_blocks = kDotCols / dot_block_cols(form);
  return (r * kLimbs + l) * (kDotCols / 16) + quad * n_blocks + block;
}

// The largest integer. Three limbs: a sum of 32 products with codes below 16, or of 16 products with
// codes from -128 to 127, is below 2^31. Two limbs: 127 * 256 + 127.
float dot_limit(const uint form) {
  if (kLimbs == 2) return 32639.0;
  return form_format(form) == BX_Q4 ? 4194304.0 : 1048575.0;
}

// The lowest 24 bits of round(x * factor) + 0x808080, for products of at most 2^22. The sum
// 1.5 * 2^23 + x * factor is a float whose last bit counts ones.
uvec4 dot_integers(const vec4 x, const float factor) {
  precise vec4 sum = x * factor + 12582912.0;
  return floatBitsToUint(sum) + 0x00408080u;
}

// The bytes at `shift` of four words as one word.
uint dot_bytes(const uvec4 n, const uint shift) {
  const uvec4 b = n >> shift & 255u;
  return b.x | b.y << 8 | b.z << 16 | b.w << 24;
}

// Writes columns 8i..8i+7 of the chunk of row r that begins at `first_col`. The lanes of a block, 4 or
// 2 neighbors, must do this together.
void dot_write(const uint form, const uint r, const uint i, const uint first_col,
               const uint mv_at) {
  const bool is_q4 = form_format(form) == BX_Q4;
  const uint mv_i = first_col / 4 + 2 * i;
  const vec4 a = MV_X4(mv_at, mv_i);
  const vec4 b = MV_X4(mv_at, mv_i + 1);
  const vec4 larger = max(abs(a), abs(b));
  float most = max(max(larger.x, larger.y), max(larger.z, larger.w));
  most = max(most, subgroupShuffleXor(most, 1u));
  if (is_q4) most = max(most, subgroupShuffleXor(most, 2u));
  const float limit = dot_limit(form);
  const float factor = most > 0.0 ? limit / most : 0.0;
  // Each byte is too large by 128, so that none is negative.
  const uvec4 na = dot_integers(a, factor);
  const uvec4 nb = dot_integers(b, factor);
  const uvec4 first = is_q4 ? uvec4(na.xz, nb.xz) : na;
  const uvec4 second = is_q4 ? uvec4(na.yw, nb.yw) : nb;
  const uint lanes = dot_block_cols(form) / 8;
  const uint block = i / lanes, word = i % 2 * 2;
  int sum = 0;
  [[unroll]] for (uint step = 1; step <= kLimbs; ++step) {
    const uint l = kLimbs - step;
    const uint at = dot_at(form, r, l, block, i % lanes / 2);
    const uint x = dot_bytes(first, 8 * l) ^ 0x80808080u;
    const uint y = dot_bytes(second, 8 * l) ^ 0x80808080u;
    dot_limbs[at][word] = x;
    dot_limbs[at][word + 1] = y;
    sum = (sum << 8) + dot4(x, 0x01010101u) + dot4(y, 0x01010101u);
  }
  sum += subgroupShuffleXor(sum, 1u);
  if (is_q4) sum += subgroupShuffleXor(sum, 2u);
  const float scale = most / limit;
  if (i % lanes == 0) dot_scales[r * (kDotCols / 16) + block] = vec2(scale, scale * float(sum));
}

// The codes of a unit as bytes, of 4 bits: of even and of odd columns.
uvec4 dot_low[MV_OUTS], dot_high[MV_OUTS];
// The sums of the products of a unit.
int dot_sums[MV_OUTS];

// Adds the products of a unit of `n_words` words of codes with one row: of the block, or of one word
// of it, number `word`.
void dot_add_row(const uint form, const uint r, const uint block, const uint word,
                 const uint n_words) {
  const bool is_q4 = form_format(form) == BX_Q4;
  for (uint o = 0; o < MV_OUTS; ++o) dot_sums[o] = 0;
  [[unroll]] for (uint step = 1; step <= kLimbs; ++step) {
    const uint l = kLimbs - step;  // the highest limb first
    for (uint o = 0; o < MV_OUTS; ++o) dot_sums[o] <<= 8;
    if (n_words == 4 && is_q4) {
      const uvec4 x = dot_limbs[dot_at(form, r, l, block, 0)];
      const uvec4 y = dot_limbs[dot_at(form, r, l, block, 1)];
      for (uint o = 0; o < MV_OUTS; ++o) {
        dot_sums[o] += dot4(x.x, dot_low[o].x);
        dot_sums[o] += dot4(x.y, dot_high[o].x);
        dot_sums[o] += dot4(x.z, dot_low[o].y);
        dot_sums[o] += dot4(x.w, dot_high[o].y);
        dot_sums[o] += dot4(y.x, dot_low[o].z);
        dot_sums[o] += dot4(y.y, dot_high[o].z);
        dot_sums[o] += dot4(y.z, dot_low[o].w);
        dot_sums[o] += dot4(y.w, dot_high[o].w);
      }
    } else if (n_words == 4) {
      const uvec4 x = dot_limbs[dot_at(form, r, l, block, 0)];
      for (uint o = 0; o < MV_OUTS; ++o) {
        dot_sums[o] += dot4(x.x, dot_low[o].x);
        dot_sums[o] += dot4(x.y, dot_low[o].y);
        dot_sums[o] += dot4(x.z, dot_low[o].z);
        dot_sums[o] += dot4(x.w, dot_low[o].w);
      }
    } else if (is_q4) {
      const uvec4 quad = dot_limbs[dot_at(form, r, l, block, word >> 1)];
      const uvec2 x = (word & 1u) == 0 ? quad.xy : quad.zw;
      for (uint o = 0; o < MV_OUTS; ++o) {
        dot_sums[o] += dot4(x.x, dot_low[o].x);
        dot_sums[o] += dot4(x.y, dot_high[o].x);
      }
    } else {
      const uint x = dot_limbs[dot_at(form, r, l, block, 0)][word];
      for (uint o = 0; o < MV_OUTS; ++o) dot_sums[o] += dot4(x, dot_low[o].x);
    }
  }
  // The sum of a block goes with its first word. 128 was taken from codes of 8 bits.
  vec2 scale = dot_scales[r * (kDotCols / 16) + block];
  if (word != 0) scale.y = 0.0;
  const float offset = is_q4 ? 0.0 : 128.0 * scale.y;
  for (uint o = 0; o < MV_OUTS; ++o) {
    const vec2 pair = mv_scales[2 * o];
    const float product = scale.x * float(dot_sums[o]) + offset;
    const float sum = pair.x * product + mv_acc[o * MV_ROWS + r];
    mv_acc[o * MV_ROWS + r] = pair.y * scale.y + sum;
  }
}

// Adds the products of the unit that is loaded. Unit 0 of `n_words` words begins the chunk.
void dot_add_unit(const uint form, const uint unit, const uint n_words) {
  const bool is_q4 = form_format(form) == BX_Q4;
  for (uint o = 0; o < MV_OUTS; ++o) {
    dot_low[o] = is_q4 ? mv_codes[o] & 0x0f0f0f0fu : mv_codes[o] ^ 0x80808080u;
    dot_high[o] = mv_codes[o] >> 4 & 0x0f0f0f0fu;
  }
  const uint block = n_words == 4 ? unit : unit >> 2;
  const uint word = n_words == 4 ? 0 : unit & 3u;
  for (uint r = 0; r < MV_ROWS; ++r) dot_add_row(form, r, block, word, n_words);
}

void mat_vec_add_dots(const WeightAddress w, const uint form, const uint n_cols,
                      const uint first_row, const uint end_row, const uint x_at,
                      const uint x_stride) {
  const uint cols_per_quad = dot_block_cols(form);
  mat_vec_place_rows(w, form, n_cols, first_row, end_row, cols_per_quad);
  for (uint chunk = 0; chunk < n_cols; chunk += kDotCols) {
    const uint end_col = min(chunk + kDotCols, n_cols);
    // Columns that do not fill half of a turn go by words, as in mat_vec_add_coded().
    const uint first_quad = chunk / cols_per_quad;
    const uint n_quads = (end_col - chunk) / cols_per_quad;
    const uint left = n_quads % gl_SubgroupSize;
    const uint end_quad = 2 * left <= gl_SubgroupSize ? n_quads - left : n_quads;
    if (!dot_keeps_x || n_cols > kDotCols) {
      barrier();  // all invocations have read what was there
      const uint lane = gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID;
      const uint n_parts = (end_col - chunk) / 8;
      for (uint first = 0; first < n_parts; first += gl_WorkGroupSize.x) {
        const uint i = first + lane;
        if (i < n_parts)
          for (uint r = 0; r < MV_ROWS; ++r) dot_write(form, r, i, chunk, x_at + r * x_stride);
      }
      barrier();
    }
    // All lanes take the same number of turns: NVIDIA's open compiler moves the sums between registers
    // where lanes may leave a loop at different times.
    for (uint first = 0; first < end_quad; first += gl_SubgroupSize) {
      const uint quad = first + gl_SubgroupInvocationID;
      if (quad < end_quad) {
        mat_vec_load(w, form, n_cols, first_quad + quad, 4);
        dot_add_unit(form, quad, 4);
      }
    }
    for (uint first = 4 * end_quad; first < 4 * n_quads; first += gl_SubgroupSize) {
      const uint word = first + gl_SubgroupInvocationID;
      if (word < 4 * n_quads) {
        mat_vec_load(w, form, n_cols, 4 * first_quad + word, 1);
        dot_add_unit(form, word, 1);
      }
    }
  }
}

#endif

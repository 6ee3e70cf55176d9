// Slices of float16 for lib/mat_mul.glsl, for devices that multiply two pairs of halves with one
// instruction. Products of a slice are added in halves, and their sums in float32.
//
// Each row of a slice is scaled by a power of two, so that its largest magnitude is at least
// 2^kMmExponent and below twice that. So the 16 products that one half adds up stay below 2^14,
// whatever the factors are. Factors that are 2^18 times smaller than the largest one of their row lose
// bits, which changes a product by at most 2^-28 of the largest products.
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

#define MM_DEPTH 32u  // columns of a slice
#define MM_QUADS (MM_DEPTH / 4)
const uint kMmExponent = 4;
// Rows that are multiplied at once. More would take more registers, fewer more loads of the weight.
const uint kMmPairRows = kMmBlockRows < 2 ? kMmBlockRows : 2;

// The slices of both factors. A uvec2 holds four columns of one row as halves. The next one holds the
// same columns of the next row. Behind the last columns of a row is the power of two that takes its
// scale back, also in a uvec2: so that it needs no register for its address.
shared uvec2 mm_x[(MM_QUADS + 1) * kRows];
shared uvec2 mm_w[(MM_QUADS + 1) * MM_OUTS];

// Up to four neighboring lanes share a row of x, and each loads every fourth quad of it. If there are
// more lanes than that, the rest load nothing.
const uint kMmRowLoaders = gl_WorkGroupSize.x / kRows < 4 ? gl_WorkGroupSize.x / kRows : 4;
const uint kMmLoads = MM_QUADS / kMmRowLoaders;
uint mm_lane() { return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID; }
uint mm_x_loaded() { return mm_lane() / kMmRowLoaders % kRows; }

float mm_largest(const float before, const vec4 v) {
  const float first = max(max(before, abs(v.x)), abs(v.y));
  return max(max(first, abs(v.z)), abs(v.w));
}

// The scale for a row whose largest magnitude is this, and the factor that takes it back. Magnitudes
// of 2^-122 and less have the same scale.
void mm_scales(const float largest, out float scale, out float back) {
  const uint exponent = max(floatBitsToUint(largest) & 0x7f800000u, kMmExponent + 1 << 23);
  scale = uintBitsToFloat((254 + kMmExponent << 23) - exponent);
  back = uintBitsToFloat(exponent - (kMmExponent << 23));
}

uvec2 mm_halves(const vec4 v) {
  return uvec2(packFloat2x16(f16vec2(v.xy)), packFloat2x16(f16vec2(v.zw)));
}

bool mm_loads_x() { return gl_WorkGroupSize.x / kRows <= 4 || mm_lane() / kMmRowLoaders < kRows; }

// Finds the scale of the invocation's row of x from the largest magnitude that it has loaded.
float mm_scale_x(float largest) {
  if (kMmRowLoaders > 1) largest = max(largest, subgroupShuffleXor(largest, 1));
  if (kMmRowLoaders > 2) largest = max(largest, subgroupShuffleXor(largest, 2));
  float scale, back;
  mm_scales(largest, scale, back);
  if (mm_loads_x()) mm_x[MM_QUADS * kRows + mm_x_loaded()].x = floatBitsToUint(back);
  return scale;
}

void mm_load_x(const uint n_cols, const uint first_col) {
  const uint first = mm_lane() % kMmRowLoaders;
  const uint to = first * kRows + mm_x_loaded();
  const uint from = mm_x_at + first_col;
  float largest = 0.0;
  if (MM_IS_WHOLE(n_cols, first_col)) {
    vec4 v[kMmLoads];
    [[unroll]] for (uint t = 0; t < kMmLoads; ++t)
      v[t] = MM_X4(from / 4 + t * kMmRowLoaders + first);
    [[unroll]] for (uint t = 0; t < kMmLoads; ++t) largest = mm_largest(largest, v[t]);
    const float scale = mm_scale_x(largest);
    if (mm_loads_x())
      [[unroll]] for (uint t = 0; t < kMmLoads; ++t)
        mm_x[t * kMmRowLoaders * kRows + to] = mm_halves(scale * v[t]);
    return;
  }
  [[dont_unroll]] for (uint k = first; k < MM_QUADS; k += kMmRowLoaders)
    largest = mm_largest(largest, mm_x_quad(from, k, n_cols - first_col));
  const float scale = mm_scale_x(largest);
  if (mm_loads_x())
    [[dont_unroll]] for (uint t = 0; t < MM_QUADS; t += kMmRowLoaders)
      mm_x[t * kRows + to] = mm_halves(scale * mm_x_quad(from, t + first, n_cols - first_col));
}

vec4 mm_w_row[MM_QUADS];  // the slice of the invocation's row of the weight
void mm_put_w(const uint i, const vec4 values) { mm_w_row[i] = values; }
void mm_end_w() {
  float largest = 0.0;
  [[unroll]] for (uint i = 0; i < MM_QUADS; ++i) largest = mm_largest(largest, mm_w_row[i]);
  float scale, back;
  mm_scales(largest, scale, back);
  mm_w[MM_QUADS * MM_OUTS + gl_LocalInvocationID.x].x = floatBitsToUint(back);
  [[unroll]] for (uint i = 0; i < MM_QUADS; ++i)
    mm_w[i * MM_OUTS + gl_LocalInvocationID.x] = mm_halves(scale * mm_w_row[i]);
}

// Multiplies kMmPairRows rows of the slice, of which the first is mm_row(first). All loops are
// unrolled, because compilers keep the halves of a pair apart from one turn to the next.
void mm_multiply_rows(const uint first) {
  // Sums of products of even columns in x, of odd ones in y: of the first half of the slice, and of
  // the second one.
  f16vec2 pair[kMmPairRows * 8 * 2];
  memoryBarrierShared();
  [[unroll]] for (uint k = 0; k < MM_QUADS; ++k) {
    uvec2 x4[kMmPairRows];
    [[unroll]] for (uint i = 0; i < kMmPairRows; ++i)
      x4[i] = mm_x[k * kRows + mm_row(first + i)];
    [[unroll]] for (uint j = 0; j < 8; ++j) {
      const uvec2 w4 = mm_w[k * MM_OUTS + mm_out(j)];
      [[unroll]] for (uint e = 0; e < 2; ++e)
        [[unroll]] for (uint i = 0; i < kMmPairRows; ++i) {
          const f16vec2 a = unpackFloat2x16(x4[i][e]);
          const f16vec2 b = unpackFloat2x16(w4[e]);
          const uint at = (i * 8 + j) * 2 + k / (MM_QUADS / 2);
          pair[at] = k % (MM_QUADS / 2) == 0 && e == 0 ? a * b : fma(a, b, pair[at]);
        }
    }
  }
  memoryBarrierShared();
  float w_scale[8];
  [[unroll]] for (uint j = 0; j < 8; ++j)
    w_scale[j] = uintBitsToFloat(mm_w[MM_QUADS * MM_OUTS + mm_out(j)].x);
  [[unroll]] for (uint i = 0; i < kMmPairRows; ++i) {
    const float x_scale = uintBitsToFloat(mm_x[MM_QUADS * kRows + mm_row(first + i)].x);
    [[unroll]] for (uint j = 0; j < 8; ++j) {
      const float scale = x_scale * w_scale[j];
      const uint at = (first + i) * 8 + j;
      const f16vec2 both = pair[2 * (i * 8 + j)] + pair[2 * (i * 8 + j) + 1];
      mm_acc[at] = float(both.x) * scale + mm_acc[at];
      mm_acc[at] = float(both.y) * scale + mm_acc[at];
    }
  }
}

void mm_multiply_slices() {
  [[unroll]] for (uint i = 0; i < kMmBlockRows; i += kMmPairRows) mm_multiply_rows(i);
}

// Slices of float32 for lib/mat_mul.glsl.
#define MM_DEPTH 16u  // columns of a slice

// The slices of both factors. A vec4 holds four columns of one row. The next vec4 holds the same
// columns of the next row.
shared vec4 mm_x[MM_DEPTH / 4 * kRows];
shared vec4 mm_w[MM_DEPTH / 4 * MM_OUTS];

// Each invocation loads parts of one row of x. kMmRowLoaders invocations share a row.
const uint kMmRowLoaders = gl_WorkGroupSize.x / kRows;
const uint kMmLoads = kMmRowLoaders < MM_DEPTH / 4 ? MM_DEPTH / 4 / kMmRowLoaders : 1;
uint mm_x_loaded() { return gl_LocalInvocationID.x % kRows; }

void mm_load_x(const uint n_cols, const uint first_col) {
  const uint to = mm_x_loaded();
  const uint first = gl_LocalInvocationID.x / kRows;
  const uint from = mm_x_at + first_col;
  if (MM_IS_WHOLE(n_cols, first_col)) {
    if (kMmRowLoaders <= MM_DEPTH / 4 || first < MM_DEPTH / 4)
      [[unroll]] for (uint t = 0; t < kMmLoads; ++t) {
        const uint k = t * kMmRowLoaders + first;
        mm_x[k * kRows + to] = MM_X4(from / 4 + k);
      }
    return;
  }
  [[dont_unroll]] for (uint k = first; k < MM_DEPTH / 4; k += kMmRowLoaders)
    mm_x[k * kRows + to] = mm_x_quad(from, k, n_cols - first_col);
}

void mm_put_w(const uint i, const vec4 values) {
  mm_w[i * MM_OUTS + gl_LocalInvocationID.x] = values;
}
void mm_end_w() {}

// Each product is one fused multiply-add. dot() would be a product, three multiply-adds and an
// addition on many compilers.
void mm_multiply_slices() {
  [[dont_unroll]] for (uint k = 0; k < MM_DEPTH / 4; ++k) {
    vec4 w4[8];
    [[unroll]] for (uint j = 0; j < 8; ++j) w4[j] = mm_w[k * MM_OUTS + mm_out(j)];
    [[unroll]] for (uint i = 0; i < kMmBlockRows; ++i) {
      const vec4 x4 = mm_x[k * kRows + mm_row(i)];
      // Four sums at a time: a CPU holds no more in registers, and a GPU needs some that do not
      // depend on each other.
      [[unroll]] for (uint block = 0; block < 2; ++block)
        [[unroll]] for (uint e = 0; e < 4; ++e)
          [[unroll]] for (uint q = 0; q < 4; ++q) {
            const uint j = block * 4 + q;
            mm_acc[i * 8 + j] = x4[e] * w4[j][e] + mm_acc[i * 8 + j];
          }
    }
  }
}

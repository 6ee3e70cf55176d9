// Operations of the vectorized kernels on rows of activations, before and after products.
#pragma once

#include <cstdint>

namespace bitaxon::cpu {

/// The largest |q| of a coded row. It is so small that the sum of kMaxBlock products of kRowRange
/// and the largest integer weight, kMaxTableInteger, fits in 32 bits.
inline constexpr float kRowRange = 16383;

/// out[c] = weight[c] * x[c] / sqrt(mean(x^2) + eps). The mean is computed from sixteen partial
/// sums in float32. They are added in the same order for every vector size. `out` may be `x`.
void rms_norm_row(const float* x, const float* weight, float eps, std::int64_t cols, float* out);

/// Codes a row of floats as 16-bit integers, in blocks of `block` columns. q[c] * scales[c / block]
/// differs from x[c] by at most half a scale. The largest |q| of a block is kRowRange. sums[b] is
/// scales[b] times the sum of q in block b. A block that contains NaN or infinity gets the scale
/// NaN, so that its products are NaN.
void code_row(const float* x, std::int64_t cols, std::int64_t block, std::int16_t* q, float* scales,
              float* sums);

/// out[i] = silu(gate[i]) * up[i]. The relative error of the exponential is below 1e-6.
void gated_product(const float* gate, const float* up, std::int64_t n, float* out);

/// The dot product sum_i a[i] * b[i], computed in float32.
float simd_dot(const float* a, const float* b, std::int64_t n);

/// out[i] += factor * x[i]
void add_scaled(const float* x, float factor, std::int64_t n, float* out);

}  // namespace bitaxon::cpu

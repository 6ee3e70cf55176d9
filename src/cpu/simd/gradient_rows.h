// Operations of the vectorized kernels that only training needs.
#pragma once

#include <cstdint>

namespace bitaxon::cpu {

/// g_x = rho * norm * g_y - x * rho^3 * mean(norm * g_y * x), rho = 1 / sqrt(mean(x^2) + eps). Both
/// sums are computed from sixteen partial sums, as rms_norm_row() does.
void rms_norm_backward_row(const float* x, const float* norm, float eps, const float* g_y,
                           std::int64_t cols, float* g_x);

/// g_gate[i] = g_y[i] * up[i] * silu'(gate[i]), g_up[i] = g_y[i] * silu(gate[i])
void gated_product_backward(const float* gate, const float* up, const float* g_y, std::int64_t n,
                            float* g_gate, float* g_up);

/// The largest element. NaN may be ignored.
float largest_of(const float* x, std::int64_t n);
/// sum_i exp(x[i] - offset)
float sum_of_exps(const float* x, std::int64_t n, float offset);
/// out[i] = factor * exp(x[i] - offset)
void scaled_exps(const float* x, std::int64_t n, float offset, float factor, float* out);

/// One update of AdamW for n elements.
/// numbers  [adamw_number::count]
void adamw_elements(const float* numbers, const float* gradients, std::int64_t n, float* parameters,
                    float* first, float* second);

/// sums[r] += sum_c (panel[c][r] + scale * sum_k a[c][k] * b[k][r])^2 for sixteen rows r
/// panel  [n][16]
/// a      [n, rank]
/// b      [rank][16]
void add_adapted_squares(const float* panel, const float* a, const float* b, std::int64_t n,
                         std::int64_t rank, float scale, double* sums);

/// out[k] = factor * dot(x, rows[k]) for `rank` rows of n elements. Each sum is computed as simd_dot()
/// does.
void dots_of(const float* x, const float* rows, std::int64_t rank, std::int64_t n, float factor,
             float* out);

/// out[i] = (base[i] + factor * sum_k weights[k] * rows[k][i]) * factors[i] + bias[i] + residual[i].
/// The operands that are nullptr are left out.
struct RowSum {
  const float* weights;  ///< [rank]
  const float* rows;     ///< [rank, n]
  std::int64_t rank;
  std::int64_t n;
  float factor = 1;
  const float* base = nullptr;
  const float* factors = nullptr;
  const float* bias = nullptr;
  const float* residual = nullptr;
};
void sum_rows(const RowSum& sum, float* out);

/// Sums over rows, in their order: sums[k][c] = sum_r weights[r, k] * x[r, c], and
/// products[c] = sum_r x[r, c] * other[r, c] unless `other` is nullptr.
struct ColumnSums {
  const float* x;      ///< the first column of row 0; rows are `stride` elements apart
  const float* other;  ///< the same for other[]
  std::int64_t stride;
  std::int64_t n_rows;
  const float* weights;  ///< [n_rows, rank]
  std::int64_t rank;
  std::int64_t n_cols;  ///< at most kSumColumns
};
inline constexpr std::int64_t kSumColumns = 64;
/// sums      [rank][kSumColumns]
/// products  [kSumColumns]; unused without `other`
void sum_columns(const ColumnSums& of, float* sums, float* products);

}  // namespace bitaxon::cpu

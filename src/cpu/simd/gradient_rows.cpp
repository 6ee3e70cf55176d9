#include "cpu/simd/gradient_rows.h"

#include <algorithm>
#include <cmath>

#include "ops/adamw.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/gradient_rows.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include "cpu/simd/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

#undef BX_SIMD
#define BX_SIMD HWY_INLINE
#include "cpu/simd/unrolled-inl.h"

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr std::int64_t kLanes = hn::MaxLanes(D());
/// Sixteen partial sums, on every machine, so that the result is the same for every vector size.
constexpr int kSums = static_cast<int>(16 / kLanes);

HWY_INLINE float sum_of(const V* sums) {
  alignas(64) float lanes[16];
  for (std::int64_t s = 0; s < kSums; ++s) hn::Store(sums[s], D(), lanes + s * kLanes);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

void rms_norm_backward(const float* x, const float* norm, float eps, const float* g_y,
                       std::int64_t cols, float* g_x) {
  const D d;
  V squares[kSums];
  V products[kSums];
  for (V& sum : squares) sum = hn::Zero(d);
  for (V& sum : products) sum = hn::Zero(d);
  std::int64_t c = 0;
  for (; c + 16 <= cols; c += 16)
    for (std::int64_t s = 0; s < kSums; ++s) {
      const std::int64_t at = c + s * kLanes;
      const V value = hn::LoadU(d, x + at);
      squares[s] = hn::MulAdd(value, value, squares[s]);
      products[s] =
          hn::MulAdd(hn::Mul(hn::LoadU(d, norm + at), hn::LoadU(d, g_y + at)), value, products[s]);
    }
  float square = sum_of(squares);
  float product = sum_of(products);
  for (; c < cols; ++c) {
    square += x[c] * x[c];
    product += norm[c] * g_y[c] * x[c];
  }
  const auto n = static_cast<float>(cols);
  const float rho = 1.0F / std::sqrt(square / n + eps);
  const float along = product / n * (rho * rho * rho);
  const V factor = hn::Set(d, rho);
  const V toward = hn::Set(d, along);
  for (c = 0; c + kLanes <= cols; c += kLanes) {
    const V g_n = hn::Mul(hn::LoadU(d, norm + c), hn::LoadU(d, g_y + c));
    hn::StoreU(hn::NegMulAdd(hn::LoadU(d, x + c), toward, hn::Mul(g_n, factor)), d, g_x + c);
  }
  for (; c < cols; ++c) g_x[c] = norm[c] * g_y[c] * rho - x[c] * along;
}

template <class DAny>
HWY_INLINE void silu_mul_slopes(DAny d, const float* gate, const float* up, const float* g_y,
                                float* g_gate, float* g_up) {
  const auto one = hn::Set(d, 1.0F);
  const auto a = hn::LoadU(d, gate);
  const auto g = hn::LoadU(d, g_y);
  const auto e = exp_of(d, hn::Neg(hn::Abs(a)));
  // sigmoid(|a|) and sigmoid(-|a|), both with their full relative precision.
  const auto large = hn::Div(one, hn::Add(one, e));
  const auto small = hn::Mul(e, large);
  const auto negative = hn::Lt(a, hn::Zero(d));
  const auto s = hn::IfThenElse(negative, small, large);
  const auto rest = hn::IfThenElse(negative, large, small);
  const auto slope = hn::Mul(s, hn::MulAdd(a, rest, one));
  hn::StoreU(hn::Mul(hn::Mul(g, hn::LoadU(d, up)), slope), d, g_gate);
  hn::StoreU(hn::Mul(g, hn::Mul(a, s)), d, g_up);
}

void silu_mul_backward(const float* gate, const float* up, const float* g_y, std::int64_t n,
                       float* g_gate, float* g_up) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    silu_mul_slopes(D(), gate + i, up + i, g_y + i, g_gate + i, g_up + i);
  for (; i < n; ++i)
    silu_mul_slopes(hn::CappedTag<float, 1>(), gate + i, up + i, g_y + i, g_gate + i, g_up + i);
}

float largest(const float* x, std::int64_t n) {
  const D d;
  float most = x[0];
  std::int64_t i = 0;
  if (n >= kLanes) {
    V all = hn::LoadU(d, x);
    for (i = kLanes; i + kLanes <= n; i += kLanes) all = hn::Max(all, hn::LoadU(d, x + i));
    alignas(64) float lanes[16];
    hn::Store(all, d, lanes);
    for (std::int64_t lane = 0; lane < kLanes; ++lane) most = std::max(most, lanes[lane]);
  }
  for (; i < n; ++i) most = std::max(most, x[i]);
  return most;
}

float sum_exps(const float* x, std::int64_t n, float offset) {
  const D d;
  const V from = hn::Set(d, offset);
  V sums[kSums];
  for (V& sum : sums) sum = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (std::int64_t s = 0; s < kSums; ++s)
      sums[s] = hn::Add(sums[s], exp_of(d, hn::Sub(hn::LoadU(d, x + i + s * kLanes), from)));
  float total = sum_of(sums);
  const hn::CappedTag<float, 1> one;
  for (; i < n; ++i) total += hn::GetLane(exp_of(one, hn::Set(one, x[i] - offset)));
  return total;
}

void scale_exps(const float* x, std::int64_t n, float offset, float factor, float* out) {
  const D d;
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V power = exp_of(d, hn::Sub(hn::LoadU(d, x + i), hn::Set(d, offset)));
    hn::StoreU(hn::Mul(hn::Set(d, factor), power), d, out + i);
  }
  const hn::CappedTag<float, 1> one;
  for (; i < n; ++i) out[i] = factor * hn::GetLane(exp_of(one, hn::Set(one, x[i] - offset)));
}

template <class DAny>
HWY_INLINE void adamw_step(DAny d, const float* numbers, const float* gradients, float* parameters,
                           float* first, float* second) {
  using namespace adamw_number;
  const auto number = [&](int index) HWY_ATTR { return hn::Set(d, numbers[index]); };
  const auto g = hn::Mul(number(clip), hn::LoadU(d, gradients));
  const auto m =
      hn::MulAdd(number(b1), hn::LoadU(d, first), hn::Mul(hn::Set(d, 1.0F - numbers[b1]), g));
  const auto v = hn::MulAdd(number(b2), hn::LoadU(d, second),
                            hn::Mul(hn::Set(d, 1.0F - numbers[b2]), hn::Mul(g, g)));
  hn::StoreU(m, d, first);
  hn::StoreU(v, d, second);
  const auto root = hn::Add(hn::Sqrt(hn::Div(v, number(c2))), number(eps));
  const auto step = hn::Div(hn::Mul(number(rate), hn::Div(m, number(c1))), root);
  const auto kept = hn::Set(d, 1.0F - numbers[decay]);
  hn::StoreU(hn::MulSub(hn::LoadU(d, parameters), kept, step), d, parameters);
}

void adamw(const float* numbers, const float* gradients, std::int64_t n, float* parameters,
           float* first, float* second) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    adamw_step(D(), numbers, gradients + i, parameters + i, first + i, second + i);
  for (; i < n; ++i)
    adamw_step(hn::CappedTag<float, 1>(), numbers, gradients + i, parameters + i, first + i,
               second + i);
}

void adapted_squares(const float* panel, const float* a, const float* b, std::int64_t n,
                     std::int64_t rank, float scale, double* sums) {
  const D d;
  for (std::int64_t part = 0; part < 16; part += kLanes) {
    V squares = hn::Zero(d);
    for (std::int64_t c = 0; c < n; ++c) {
      V sum = hn::Zero(d);
      for (std::int64_t k = 0; k < rank; ++k)
        sum = hn::MulAdd(hn::Set(d, a[c * rank + k]), hn::LoadU(d, b + k * 16 + part), sum);
      const V value = hn::MulAdd(hn::Set(d, scale), sum, hn::LoadU(d, panel + c * 16 + part));
      squares = hn::MulAdd(value, value, squares);
    }
    alignas(64) float lanes[16];
    hn::Store(squares, d, lanes);
    for (std::int64_t lane = 0; lane < kLanes; ++lane)
      sums[part + lane] += static_cast<double>(lanes[lane]);
  }
}

/// The dot products of x with kRows rows, which are n elements apart.
template <int kRows>
HWY_INLINE void dot_rows(const float* x, const float* rows, std::int64_t n, float factor,
                         float* out) {
  const D d;
  V sums[kRows * kSums];
  unrolled<kRows * kSums>([&](auto i) HWY_ATTR { sums[i] = hn::Zero(d); });
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    unrolled<kSums>([&](auto s) HWY_ATTR {
      const V value = hn::LoadU(d, x + i + s * kLanes);
      unrolled<kRows>([&](auto k) HWY_ATTR {
        constexpr int kAt = k * kSums + s;
        sums[kAt] = hn::MulAdd(value, hn::LoadU(d, rows + k * n + i + s * kLanes), sums[kAt]);
      });
    });
  for (int k = 0; k < kRows; ++k) {
    float total = sum_of(sums + k * kSums);
    for (std::int64_t c = i; c < n; ++c) total += x[c] * rows[k * n + c];
    out[k] = factor * total;
  }
}

void dots(const float* x, const float* rows, std::int64_t rank, std::int64_t n, float factor,
          float* out) {
  std::int64_t k = 0;
  for (; k + 4 <= rank; k += 4) dot_rows<4>(x, rows + k * n, n, factor, out + k);
  for (; k < rank; ++k) dot_rows<1>(x, rows + k * n, n, factor, out + k);
}

template <class DAny>
HWY_INLINE void sum_at(DAny d, const RowSum& sum, std::int64_t i, float* out) {
  auto total = hn::Zero(d);
  for (std::int64_t k = 0; k < sum.rank; ++k)
    total = hn::MulAdd(hn::Set(d, sum.weights[k]), hn::LoadU(d, sum.rows + k * sum.n + i), total);
  total = hn::Mul(total, hn::Set(d, sum.factor));
  if (sum.base != nullptr) total = hn::Add(total, hn::LoadU(d, sum.base + i));
  if (sum.factors != nullptr) total = hn::Mul(total, hn::LoadU(d, sum.factors + i));
  if (sum.bias != nullptr) total = hn::Add(total, hn::LoadU(d, sum.bias + i));
  if (sum.residual != nullptr) total = hn::Add(total, hn::LoadU(d, sum.residual + i));
  hn::StoreU(total, d, out + i);
}

void row_sum(const RowSum& sum, float* out) {
  std::int64_t i = 0;
  for (; i + kLanes <= sum.n; i += kLanes) sum_at(D(), sum, i, out);
  for (; i < sum.n; ++i) sum_at(hn::CappedTag<float, 1>(), sum, i, out);
}

/// Sums kVectors vectors of columns, for kRanks weights of each row.
template <int kRanks, int kVectors, class DAny>
HWY_INLINE void add_columns(DAny d, const ColumnSums& of, std::int64_t k, std::int64_t c,
                            float* sums) {
  constexpr int kWidth = static_cast<int>(hn::MaxLanes(DAny()));
  hn::Vec<DAny> totals[kRanks * kVectors];
  unrolled<kRanks * kVectors>([&](auto i) HWY_ATTR { totals[i] = hn::Zero(d); });
  const float* x = of.x + c;
  const float* weights = of.weights + k;
  for (std::int64_t r = 0; r < of.n_rows; ++r, x += of.stride, weights += of.rank) {
    hn::Vec<DAny> values[kVectors];
    unrolled<kVectors>([&](auto v) HWY_ATTR { values[v] = hn::LoadU(d, x + v * kWidth); });
    unrolled<kRanks>([&](auto j) HWY_ATTR {
      const auto weight = hn::Set(d, weights[j]);
      unrolled<kVectors>([&](auto v) HWY_ATTR {
        constexpr int kAt = j * kVectors + v;
        totals[kAt] = hn::MulAdd(weight, values[v], totals[kAt]);
      });
    });
  }
  unrolled<kRanks>([&](auto j) HWY_ATTR {
    unrolled<kVectors>([&](auto v) HWY_ATTR {
      hn::StoreU(totals[j * kVectors + v], d, sums + (k + j) * kSumColumns + c + v * kWidth);
    });
  });
}

template <int kVectors, class DAny>
HWY_INLINE void add_ranks(DAny d, const ColumnSums& of, std::int64_t c, float* sums,
                          float* products) {
  std::int64_t k = 0;
  for (; k + 4 <= of.rank; k += 4) add_columns<4, kVectors>(d, of, k, c, sums);
  for (; k < of.rank; ++k) add_columns<1, kVectors>(d, of, k, c, sums);
  if (of.other == nullptr) return;
  constexpr int kWidth = static_cast<int>(hn::MaxLanes(DAny()));
  hn::Vec<DAny> totals[kVectors];
  unrolled<kVectors>([&](auto v) HWY_ATTR { totals[v] = hn::Zero(d); });
  for (std::int64_t r = 0; r < of.n_rows; ++r)
    unrolled<kVectors>([&](auto v) HWY_ATTR {
      const std::int64_t at = r * of.stride + c + v * kWidth;
      totals[v] = hn::MulAdd(hn::LoadU(d, of.x + at), hn::LoadU(d, of.other + at), totals[v]);
    });
  unrolled<kVectors>([&](auto v) HWY_ATTR { hn::StoreU(totals[v], d, products + c + v * kWidth); });
}

void column_sums(const ColumnSums& of, float* sums, float* products) {
  // Four vectors keep sixteen sums in registers. They fit if there are 32 registers.
  constexpr int kVectors = kLanes == 16 ? 4 : 2;
  std::int64_t c = 0;
  for (; c + kVectors * kLanes <= of.n_cols; c += kVectors * kLanes)
    add_ranks<kVectors>(D(), of, c, sums, products);
  for (; c + kLanes <= of.n_cols; c += kLanes) add_ranks<1>(D(), of, c, sums, products);
  for (; c < of.n_cols; ++c) add_ranks<1>(hn::CappedTag<float, 1>(), of, c, sums, products);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {

HWY_EXPORT(rms_norm_backward);
HWY_EXPORT(silu_mul_backward);
HWY_EXPORT(largest);
HWY_EXPORT(sum_exps);
HWY_EXPORT(scale_exps);
HWY_EXPORT(adamw);
HWY_EXPORT(adapted_squares);
HWY_EXPORT(dots);
HWY_EXPORT(row_sum);
HWY_EXPORT(column_sums);

void rms_norm_backward_row(const float* x, const float* norm, float eps, const float* g_y,
                           std::int64_t cols, float* g_x) {
  HWY_DYNAMIC_DISPATCH(rms_norm_backward)(x, norm, eps, g_y, cols, g_x);
}

void gated_product_backward(const float* gate, const float* up, const float* g_y, std::int64_t n,
                            float* g_gate, float* g_up) {
  HWY_DYNAMIC_DISPATCH(silu_mul_backward)(gate, up, g_y, n, g_gate, g_up);
}

float largest_of(const float* x, std::int64_t n) { return HWY_DYNAMIC_DISPATCH(largest)(x, n); }

float sum_of_exps(const float* x, std::int64_t n, float offset) {
  return HWY_DYNAMIC_DISPATCH(sum_exps)(x, n, offset);
}

void scaled_exps(const float* x, std::int64_t n, float offset, float factor, float* out) {
  HWY_DYNAMIC_DISPATCH(scale_exps)(x, n, offset, factor, out);
}

void adamw_elements(const float* numbers, const float* gradients, std::int64_t n, float* parameters,
                    float* first, float* second) {
  HWY_DYNAMIC_DISPATCH(adamw)(numbers, gradients, n, parameters, first, second);
}

void add_adapted_squares(const float* panel, const float* a, const float* b, std::int64_t n,
                         std::int64_t rank, float scale, double* sums) {
  HWY_DYNAMIC_DISPATCH(adapted_squares)(panel, a, b, n, rank, scale, sums);
}

void dots_of(const float* x, const float* rows, std::int64_t rank, std::int64_t n, float factor,
             float* out) {
  HWY_DYNAMIC_DISPATCH(dots)(x, rows, rank, n, factor, out);
}

void sum_rows(const RowSum& sum, float* out) { HWY_DYNAMIC_DISPATCH(row_sum)(sum, out); }

void sum_columns(const ColumnSums& of, float* sums, float* products) {
  HWY_DYNAMIC_DISPATCH(column_sums)(of, sums, products);
}

}  // namespace bitaxon::cpu
#endif

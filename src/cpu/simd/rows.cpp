#include "cpu/simd/rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/rows.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include "cpu/simd/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

using D = hn::CappedTag<float, 16>;
using DI = hn::RebindToSigned<D>;
using DShort = hn::Rebind<std::int16_t, D>;
using V = hn::Vec<D>;
constexpr std::int64_t kLanes = hn::MaxLanes(D());
/// The number of vectors that hold sixteen partial sums. There are sixteen on every machine, one
/// for each lane of the widest vector, so that the result is the same for every vector size.
constexpr std::int64_t kSums = 16 / kLanes;

/// Adds up the sixteen partial sums in pairs. The pairs are the same for every vector size.
HWY_INLINE float sum_of(const V* sums) {
  alignas(64) float lanes[16];
  for (std::int64_t s = 0; s < kSums; ++s) hn::Store(sums[s], D(), lanes + s * kLanes);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

float dot(const float* a, const float* b, std::int64_t n) {
  V sums[kSums];
  for (V& sum : sums) sum = hn::Zero(D());
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (std::int64_t s = 0; s < kSums; ++s)
      sums[s] = hn::MulAdd(hn::LoadU(D(), a + i + s * kLanes), hn::LoadU(D(), b + i + s * kLanes),
                           sums[s]);
  float total = sum_of(sums);
  for (; i < n; ++i) total += a[i] * b[i];
  return total;
}

void rms_norm(const float* x, const float* weight, float eps, std::int64_t cols, float* out) {
  const float mean_square = dot(x, x, cols) / static_cast<float>(cols);
  const float scale = 1.0F / std::sqrt(mean_square + eps);
  const V factor = hn::Set(D(), scale);
  std::int64_t c = 0;
  for (; c + kLanes <= cols; c += kLanes)
    hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(D(), weight + c), hn::LoadU(D(), x + c)), factor), D(),
               out + c);
  for (; c < cols; ++c) out[c] = weight[c] * x[c] * scale;
}

/// Codes a block whose length is not a multiple of the vector length.
void code_short_block(const float* x, std::int64_t n, float scale, float inverse, std::int16_t* q,
                      float* sum) {
  std::int32_t total = 0;
  for (std::int64_t c = 0; c < n; ++c) {
    q[c] = static_cast<std::int16_t>(std::lrint(x[c] * inverse));
    total += q[c];
  }
  *sum = scale * static_cast<float>(total);
}

void code(const float* x, std::int64_t cols, std::int64_t block, std::int16_t* q, float* scales,
          float* sums) {
  for (std::int64_t first = 0; first < cols; first += block, x += block, q += block) {
    V most = hn::Zero(D());
    V finite = hn::Zero(D());  // stays 0 as long as all values are finite
    std::int64_t c = 0;
    for (; c + kLanes <= block; c += kLanes) {
      const V v = hn::LoadU(D(), x + c);
      most = hn::Max(most, hn::Abs(v));
      finite = hn::MulAdd(v, hn::Zero(D()), finite);
    }
    float largest = hn::GetLane(hn::MaxOfLanes(D(), most));
    float check = hn::GetLane(hn::SumOfLanes(D(), finite));
    for (std::int64_t i = c; i < block; ++i) {
      largest = std::max(largest, std::abs(x[i]));
      check += x[i] * 0.0F;
    }
    if (check != 0.0F || std::isnan(check)) {
      std::fill_n(q, block, std::int16_t{0});
      *scales++ = std::numeric_limits<float>::quiet_NaN();
      *sums++ = std::numeric_limits<float>::quiet_NaN();
      continue;
    }
    // If the values of a block are so small that the inverse of the scale would overflow, they are
    // negligible, and the block becomes 0.
    const bool empty = largest < std::numeric_limits<float>::min() * kRowRange;
    const float scale = empty ? 0.0F : largest / kRowRange;
    const float inverse = empty ? 0.0F : kRowRange / largest;
    *scales++ = scale;
    if (c < block) {
      code_short_block(x, block, scale, inverse, q, sums++);
      continue;
    }
    auto total = hn::Zero(DI());
    for (c = 0; c < block; c += kLanes) {
      const auto rounded = hn::NearestInt(hn::Mul(hn::LoadU(D(), x + c), hn::Set(D(), inverse)));
      total = hn::Add(total, rounded);
      hn::StoreU(hn::DemoteTo(DShort(), rounded), DShort(), q + c);
    }
    *sums++ = scale * static_cast<float>(hn::GetLane(hn::SumOfLanes(DI(), total)));
  }
}

void gated(const float* gate, const float* up, std::int64_t n, float* out) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    hn::StoreU(hn::Mul(silu_of(D(), hn::LoadU(D(), gate + i)), hn::LoadU(D(), up + i)), D(),
               out + i);
  for (; i < n; ++i) out[i] = gate[i] / (1.0F + std::exp(-gate[i])) * up[i];
}

void scaled(const float* x, float factor, std::int64_t n, float* out) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    hn::StoreU(hn::MulAdd(hn::LoadU(D(), x + i), hn::Set(D(), factor), hn::LoadU(D(), out + i)),
               D(), out + i);
  for (; i < n; ++i) out[i] += x[i] * factor;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {

HWY_EXPORT(dot);
HWY_EXPORT(rms_norm);
HWY_EXPORT(code);
HWY_EXPORT(gated);
HWY_EXPORT(scaled);

void rms_norm_row(const float* x, const float* weight, float eps, std::int64_t cols, float* out) {
  HWY_DYNAMIC_DISPATCH(rms_norm)(x, weight, eps, cols, out);
}

void code_row(const float* x, std::int64_t cols, std::int64_t block, std::int16_t* q, float* scales,
              float* sums) {
  HWY_DYNAMIC_DISPATCH(code)(x, cols, block, q, scales, sums);
}

void gated_product(const float* gate, const float* up, std::int64_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(gated)(gate, up, n, out);
}

float simd_dot(const float* a, const float* b, std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(dot)(a, b, n);
}

void add_scaled(const float* x, float factor, std::int64_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(scaled)(x, factor, n, out);
}

}  // namespace bitaxon::cpu
#endif

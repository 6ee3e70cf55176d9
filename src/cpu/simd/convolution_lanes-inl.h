// The convolution in vectors of channels. Only files that Highway compiles once per target include
// this header.
#if defined(BITAXON_CONVOLUTION_LANES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef BITAXON_CONVOLUTION_LANES_INL
#undef BITAXON_CONVOLUTION_LANES_INL
#else
#define BITAXON_CONVOLUTION_LANES_INL
#endif

#include "cpu/simd/convolution.h"
#include "cpu/simd/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

/// The sum before the SiLU, for the channels from `e` on in row r of the segment.
template <class D>
HWY_INLINE hn::Vec<D> conv_sum(D d, const Convolution& conv, std::int64_t r, std::int64_t e) {
  using V = hn::Vec<D>;
  V sum = hn::LoadU(d, conv.bias + e);
  for (std::int64_t k = 0; k < conv.d_conv; ++k) {
    const std::int64_t row = r - (conv.d_conv - 1) + k;
    const V v = row >= 0 ? hn::LoadU(d, conv.v + row * conv.v_stride + e)
                : conv.tail == nullptr
                    ? hn::Zero(d)
                    : hn::LoadU(d, conv.tail + (conv.d_conv - 1 + row) * conv.d_inner + e);
    sum = hn::MulAdd(hn::LoadU(d, conv.taps + k * conv.d_inner + e), v, sum);
  }
  return sum;
}

/// Calls act(d, r, e) for all rows r and for the channels from e on, in whole vectors as far as
/// possible. Goes row by row, because channels are adjacent in memory, but rows are far apart.
template <class Act>
HWY_INLINE void for_each_vector(const Convolution& conv, const Act& act) {
  const hn::CappedTag<float, 16> d;
  const hn::CappedTag<float, 1> one;
  const std::int64_t lanes = hn::MaxLanes(d);
  const std::int64_t whole = conv.n_channels / lanes * lanes;
  for (std::int64_t r = conv.first_row; r < conv.first_row + conv.n_rows; ++r) {
    for (std::int64_t e = 0; e < whole; e += lanes) act(d, r, e);
    for (std::int64_t e = whole; e < conv.n_channels; ++e) act(one, r, e);
  }
}

inline void convolve(const Convolution& conv) {
  for_each_vector(conv, [&](auto d, std::int64_t r, std::int64_t e) HWY_ATTR {
    hn::StoreU(silu_of(d, conv_sum(d, conv, r, e)), d, conv.u + r * conv.d_inner + e);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#endif

// Mathematical functions of vectors. Only files that Highway compiles once per target include this
// header.
// Sources: Cody and Waite 1980, "Software manual for the elementary functions" (reduction);
// coefficients are minimax fits.
#if defined(BITAXON_VECTOR_MATH_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef BITAXON_VECTOR_MATH_INL
#undef BITAXON_VECTOR_MATH_INL
#else
#define BITAXON_VECTOR_MATH_INL
#endif

#include <hwy/highway.h>

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Element k is the bits of 2^(k/16), minus k << 19. exp2_parts() adds a number of sixteenths,
/// shifted left by 19 bits, to an element. This adds the whole part to the exponent, and it also
/// adds k << 19, so the elements are smaller by k << 19.
alignas(64) inline constexpr std::int32_t kSixteenthPowers[16] = {
    0x3F800000, 0x3F7DAAC3, 0x3F7B95C2, 0x3F79C3D3, 0x3F7837F0, 0x3F76F532, 0x3F75FED7, 0x3F75583F,
    0x3F7504F3, 0x3F7508A4, 0x3F75672A, 0x3F76248C, 0x3F7744FD, 0x3F78CCDF, 0x3F7AC0C7, 0x3F7D257D};

inline constexpr float kLog2E = 1.44269504088896341F;

/// 2^whole, for a whole number from -127 (which gives 0) to 127.
template <class D, class V>
HWY_INLINE V power_of_2(D d, V whole) {
  const hn::RebindToSigned<D> di;
  // The lowest bits of a float near 1.5 * 2^23 are a whole number. So this sum converts `whole` to
  // an integer. Unlike a conversion instruction, it does not handle numbers out of range, but such
  // numbers do not occur here.
  const V shifted = hn::Add(whole, hn::Set(d, 12582912.0F + 127.0F));
  return hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(di, shifted)));
}

/// 2^x as the product power * 2^rest.
template <class V>
struct Exp2Parts {
  V power;
  V rest;
};

/// Whether a vector has sixteen lanes. It can then hold the table kSixteenthPowers.
template <class D>
constexpr bool has_sixteenths() {
  return hn::MaxLanes(D()) == 16;
}

/// Splits 2^x into the two parts of Exp2Parts. Requires -126 <= x <= 126. Rounds x to a multiple of
/// 1/16 if has_sixteenths(), else to a whole number. For this, adds a number whose lowest bit has
/// the value 1/16 or 1. |rest| is at most 1/32 with sixteenths, else at most 1/2.
template <class D, class V>
HWY_INLINE Exp2Parts<V> exp2_parts(D d, V x) {
  const hn::RebindToSigned<D> di;
  if constexpr (has_sixteenths<D>()) {
    const V sixteenth = hn::Set(d, 12582912.0F / 16);  // 1.5 * 2^23 / 16
    const V shifted = hn::Add(x, sixteenth);
    const auto steps = hn::BitCast(di, shifted);
    // The instruction for the table ignores all bits above the lowest four. Only Highway's check of
    // the index in debug builds needs these bits cleared.
#if HWY_IS_DEBUG_BUILD
    const auto within = hn::And(steps, hn::Set(di, 15));
#else
    const auto within = steps;
#endif
    const auto mantissas =
        hn::TableLookupLanes(hn::Load(di, kSixteenthPowers), hn::IndicesFromVec(di, within));
    return {hn::BitCast(d, hn::Add(hn::ShiftLeft<19>(steps), mantissas)),
            hn::Sub(x, hn::Sub(shifted, sixteenth))};
  } else {
    const V whole = hn::Set(d, 12582912.0F + 127.0F);  // 1.5 * 2^23 plus the exponent's bias
    const V shifted = hn::Add(x, whole);
    return {hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(di, shifted))),
            hn::Sub(x, hn::Sub(shifted, whole))};
  }
}

/// 2^r - 1, where r is the `rest` from exp2_parts(). The relative error is below 6e-7. With kShort
/// and sixteenths, it is below 4e-5.
template <bool kShort, class D, class V>
HWY_INLINE V exp2_of_rest(D d, V r) {
  V p;
  if constexpr (has_sixteenths<D>() && kShort) {
    p = hn::MulAdd(hn::Set(d, 2.40226507e-1F), r, hn::Set(d, 6.93174282e-1F));
  } else if constexpr (has_sixteenths<D>()) {
    p = hn::MulAdd(hn::Set(d, 5.55041086e-2F), r, hn::Set(d, 2.40233551e-1F));
    p = hn::MulAdd(p, r, hn::Set(d, 6.93147181e-1F));
  } else {
    p = hn::MulAdd(hn::Set(d, 1.33335e-3F), r, hn::Set(d, 9.66625e-3F));
    p = hn::MulAdd(p, r, hn::Set(d, 5.5505e-2F));
    p = hn::MulAdd(p, r, hn::Set(d, 2.4022351e-1F));
    p = hn::MulAdd(p, r, hn::Set(d, 6.9314712e-1F));
  }
  return hn::Mul(p, r);
}

/// The largest lane of a vector without NaN. Highway's MaxOfLanes is not used, because its
/// emulation ignores -infinity.
template <class D, class V>
HWY_INLINE float largest_lane(D d, V v) {
  alignas(64) float lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  return *std::max_element(lanes, lanes + hn::Lanes(d));
}

/// at_least() returns max(x, least), and at_most() returns min(x, most). NaN stays NaN.
template <class D, class V>
HWY_INLINE V at_least(D d, float least, V x) {
  const V bound = hn::Set(d, least);
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  return hn::IfThenElse(hn::Lt(x, bound), bound, x);  // Max loses NaN on these targets
#else
  return hn::Max(bound, x);  // if x is NaN: x86 returns the second argument, x; others return NaN
#endif
}
template <class D, class V>
HWY_INLINE V at_most(D d, float most, V x) {
  const V bound = hn::Set(d, most);
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  return hn::IfThenElse(hn::Gt(x, bound), bound, x);
#else
  return hn::Min(bound, x);
#endif
}

/// 2^x, where x is clamped to [-115, 115]. The relative error is below 1e-6. This function is
/// faster than exp_of(). If x is NaN, the result may be NaN or any number.
template <class D, class V>
HWY_INLINE V short_exp2_of(D d, V x) {
  const Exp2Parts<V> parts = exp2_parts(d, at_least(d, -115.0F, at_most(d, 115.0F, x)));
  return hn::MulAdd(parts.power, exp2_of_rest<true>(d, parts.rest), parts.power);
}

/// e^x with a relative error below 3e-7. The result is 0 for x below -87.6, at most 1.7e38 for
/// large x, and NaN for NaN.
template <class D, class V>
HWY_INLINE V exp_of(D d, V x) {
  const V clamped = hn::Min(hn::Max(x, hn::Set(d, -88.0F)), hn::Set(d, 88.0F));
  const V whole = hn::Round(hn::Mul(clamped, hn::Set(d, kLog2E)));
  const V kept = hn::IfThenElse(hn::Eq(x, x), clamped, x);
  // Subtracts `whole` * log(2), with log(2) in two parts. The first part has few bits, so its
  // product with `whole` is exact.
  V r = hn::NegMulAdd(whole, hn::Set(d, 0.693359375F), kept);
  r = hn::NegMulAdd(whole, hn::Set(d, -2.12194440e-4F), r);
  V p = hn::Set(d, 8.31248e-3F);
  p = hn::MulAdd(p, r, hn::Set(d, 4.189055e-2F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6667116e-1F));
  p = hn::MulAdd(p, r, hn::Set(d, 4.9999228e-1F));
  p = hn::MulAdd(hn::Mul(p, r), r, r);
  return hn::Mul(hn::Add(p, hn::Set(d, 1.0F)), power_of_2(d, whole));
}

/// x / (1 + e^-x). NaN stays NaN.
template <class D, class V>
HWY_INLINE V silu_of(D d, V x) {
  // If x is below -79, the exponential may be clamped, and x is scaled so that the result is close
  // to 0. For -infinity, the result is -infinity.
  const V above = hn::IfThenElse(hn::Lt(x, hn::Set(d, -79.0F)), hn::Mul(x, hn::Set(d, 1e-38F)), x);
  const V power = short_exp2_of(d, hn::Mul(x, hn::Set(d, -kLog2E)));
  return hn::Div(above, hn::Add(hn::Set(d, 1.0F), power));
}

/// log(1 + y) for 0 <= y <= 1. The relative error is below 2e-7. With kShort, it is below 9e-6. The
/// function uses no division, because a division takes as long as eight products.
template <bool kShort, class D, class V>
HWY_INLINE V log1p_of_unit(D d, V y) {
  V p;
  if constexpr (kShort) {
    p = hn::MulAdd(hn::Set(d, -0.0238691248F), y, hn::Set(d, 0.101222217F));
    p = hn::MulAdd(p, y, hn::Set(d, -0.21004863F));
    p = hn::MulAdd(p, y, hn::Set(d, 0.325206659F));
    p = hn::MulAdd(p, y, hn::Set(d, -0.499361362F));
    p = hn::MulAdd(p, y, hn::Set(d, 0.999991598F));
  } else {
    p = hn::MulAdd(hn::Set(d, 5.2326879e-3F), y, hn::Set(d, -2.95052133e-2F));
    p = hn::MulAdd(p, y, hn::Set(d, 7.82259103e-2F));
    p = hn::MulAdd(p, y, hn::Set(d, -1.36632423e-1F));
    p = hn::MulAdd(p, y, hn::Set(d, 1.91060051e-1F));
    p = hn::MulAdd(p, y, hn::Set(d, -2.48429818e-1F));
    p = hn::MulAdd(p, y, hn::Set(d, 3.33190968e-1F));
    p = hn::MulAdd(p, y, hn::Set(d, -4.99994931e-1F));
    p = hn::MulAdd(p, y, hn::Set(d, 9.9999997e-1F));
  }
  return hn::Mul(p, y);
}

/// log(1 + e^x) without overflow. NaN stays NaN.
template <bool kShort, class D, class V>
HWY_INLINE V softplus_of(D d, V x) {
  const V distance = hn::Abs(x);
  const V y = kShort ? short_exp2_of(d, hn::Mul(distance, hn::Set(d, -kLog2E)))
                     : exp_of(d, hn::Neg(distance));
  return hn::Add(at_least(d, 0.0F, x), log1p_of_unit<kShort>(d, y));
}

}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();
#endif

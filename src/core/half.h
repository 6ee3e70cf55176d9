// Conversions between float and the 16-bit types float16 (IEEE 754 binary16) and bfloat16. The
// 16-bit numbers are the bits of a uint16_t.
//
//   float32   s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm    bias 127
//   float16   s eeeee    mmmmmmmmmm                 bias 15
//   bfloat16  s eeeeeeee mmmmmmm                    bias 127: the upper half of a float32
//
// The conversions run in inner loops. Every case is computed and then selected, because the
// compiler can vectorize loops without branches. The results do not depend on flush-to-zero modes,
// because no intermediate result of a normal input is subnormal.
#pragma once

#include <bit>
#include <cstdint>

namespace bitaxon {
namespace half_detail {

/// All ones if a < b, else 0. a and b must be below 2^31, because the comparison is signed. SSE2
/// has no unsigned comparison.
constexpr std::uint32_t mask_less(std::uint32_t a, std::uint32_t b) {
  return 0u -
         static_cast<std::uint32_t>(static_cast<std::int32_t>(a) < static_cast<std::int32_t>(b));
}

/// `yes` if `mask` is all ones, `no` if it is 0. Uses bit operations instead of ?:. With ?:, gcc
/// would move the float arithmetic of one side into a branch and then not vectorize the loop.
constexpr std::uint32_t select(std::uint32_t mask, std::uint32_t yes, std::uint32_t no) {
  return (yes & mask) | (no & ~mask);
}

}  // namespace half_detail

/// An exact conversion. A NaN keeps its sign and payload.
inline float f16_to_f32(std::uint16_t half) {
  using half_detail::mask_less, half_detail::select;
  constexpr std::uint32_t kRebias = (127u - 15u) << 23;
  const std::uint32_t sign = (std::uint32_t{half} & 0x8000u) << 16;
  const std::uint32_t magnitude = (std::uint32_t{half} & 0x7fffu) << 13;
  // The exponent 31 (infinity, NaN) must become 255 = 31 + 2 * 112, so the difference of the
  // biases, which is 112, is added twice.
  const std::uint32_t normal = magnitude + kRebias + (~mask_less(magnitude, 0x0f800000u) & kRebias);
  // A subnormal half is mantissa * 2^-24.
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(
      static_cast<float>(static_cast<std::int32_t>(half & 0x3ffu)) * 0x1p-24f);
  return std::bit_cast<float>(sign | select(mask_less(magnitude, 0x00800000u), subnormal, normal));
}

/// Rounds to nearest, ties to even. Values of 65520 (65504 plus half a step) and more become
/// infinity. A NaN becomes a quiet NaN with its sign and the upper bits of its payload.
inline std::uint16_t f32_to_f16(float value) {
  using half_detail::mask_less, half_detail::select;
  constexpr std::uint32_t kRebias = (127u - 15u) << 23;
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  // A carry out of the mantissa raises the exponent. A carry at the largest exponent gives
  // infinity.
  const std::uint32_t normal = (magnitude - kRebias + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  // Below 2^-14, adding 0.5 rounds correctly, because floats near 0.5 have the same steps of 2^-24
  // as float16 subnormals.
  const std::uint32_t subnormal =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  const std::uint32_t nan = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  std::uint32_t half = select(mask_less(magnitude, 0x38800000u), subnormal, normal);
  half = select(mask_less(magnitude, 0x47800000u), half, 0x7c00u);
  half = select(mask_less(0x7f800000u, magnitude), nan, half);
  return static_cast<std::uint16_t>(sign | half);
}

/// An exact conversion. A NaN keeps its sign and payload.
inline float bf16_to_f32(std::uint16_t half) {
  return std::bit_cast<float>(std::uint32_t{half} << 16);
}

/// Rounds to nearest, ties to even. A NaN becomes quiet, as in f32_to_f16.
inline std::uint16_t f32_to_bf16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t nan = (bits >> 16) | 0x40u;
  const std::uint32_t is_nan = half_detail::mask_less(0x7f800000u, bits & 0x7fffffffu);
  return static_cast<std::uint16_t>(half_detail::select(is_nan, nan, rounded));
}

}  // namespace bitaxon

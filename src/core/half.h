// float16 (IEEE 754 binary16) and bfloat16, as bits in a uint16_t, to and from float.
//
//   float32   s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm    bias 127
//   float16   s eeeee    mmmmmmmmmm                 bias 15
//   bfloat16  s eeeeeeee mmmmmmm                    bias 127: the upper half of a float32
//
// They sit in inner loops, so every case is computed and then selected: without branches the
// compiler can vectorise a loop over them. Nothing here depends on the treatment of subnormal
// floats (flush to zero), because no intermediate result of a normal input is one.
#pragma once

#include <bit>
#include <cstdint>

namespace bitaxon {
namespace half_detail {

/// All ones where a < b. Both below 2^31: the signed comparison is the one that SSE2 has.
constexpr std::uint32_t mask_less(std::uint32_t a, std::uint32_t b) {
  return 0u -
         static_cast<std::uint32_t>(static_cast<std::int32_t>(a) < static_cast<std::int32_t>(b));
}

/// As bit operations: written with ?:, gcc moves the float arithmetic of one side into a branch,
/// and then does not vectorise the loop.
constexpr std::uint32_t select(std::uint32_t mask, std::uint32_t yes, std::uint32_t no) {
  return (yes & mask) | (no & ~mask);
}

}  // namespace half_detail

/// Exact. NaN keeps its sign and payload.
inline float f16_to_f32(std::uint16_t half) {
  using half_detail::mask_less, half_detail::select;
  constexpr std::uint32_t kRebias = (127u - 15u) << 23;
  const std::uint32_t sign = (std::uint32_t{half} & 0x8000u) << 16;
  const std::uint32_t magnitude = (std::uint32_t{half} & 0x7fffu) << 13;
  // Exponent 31 (infinity, NaN) becomes 255, which is as far again from 31 + 112.
  const std::uint32_t normal = magnitude + kRebias + (~mask_less(magnitude, 0x0f800000u) & kRebias);
  // Subnormal: mantissa * 2^-24.
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(
      static_cast<float>(static_cast<std::int32_t>(half & 0x3ffu)) * 0x1p-24f);
  return std::bit_cast<float>(sign | select(mask_less(magnitude, 0x00800000u), subnormal, normal));
}

/// Rounds to nearest, ties to even. Beyond 65504 + half a step: infinity. NaN stays NaN: made
/// quiet, with its sign and the upper bits of its payload.
inline std::uint16_t f32_to_f16(float value) {
  using half_detail::mask_less, half_detail::select;
  constexpr std::uint32_t kRebias = (127u - 15u) << 23;
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  // The carry out of the mantissa raises the exponent, and at the largest exponent gives infinity.
  const std::uint32_t normal = (magnitude - kRebias + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  // Below 2^-14 the float adder rounds: 0.5 has steps of 2^-24, those of a float16 subnormal.
  const std::uint32_t subnormal =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  const std::uint32_t nan = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  std::uint32_t half = select(mask_less(magnitude, 0x38800000u), subnormal, normal);
  half = select(mask_less(magnitude, 0x47800000u), half, 0x7c00u);
  half = select(mask_less(0x7f800000u, magnitude), nan, half);
  return static_cast<std::uint16_t>(sign | half);
}

/// Exact. NaN keeps its sign and payload.
inline float bf16_to_f32(std::uint16_t half) {
  return std::bit_cast<float>(std::uint32_t{half} << 16);
}

/// Rounds to nearest, ties to even. NaN stays NaN, as in f32_to_f16.
inline std::uint16_t f32_to_bf16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t nan = (bits >> 16) | 0x40u;
  const std::uint32_t is_nan = half_detail::mask_less(0x7f800000u, bits & 0x7fffffffu);
  return static_cast<std::uint16_t>(half_detail::select(is_nan, nan, rounded));
}

}  // namespace bitaxon

// The 8-bit floats of the OCP formats, in which files store numbers and scales.
// Source: OCP 8-bit Floating Point Specification 1.0; OCP Microscaling Formats 1.0, section 5.4.
#pragma once

#include <bit>
#include <cstdint>

namespace bitaxon {

/// E4M3: a sign, 4 bits of exponent with bias 7, 3 bits of mantissa. 0x7f and 0xff are NaN. There is
/// no infinity.
constexpr float e4m3_to_f32(std::uint8_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x80U} << 24;
  const std::uint32_t magnitude = bits & 0x7fU;
  if (magnitude == 0x7f) return std::bit_cast<float>(sign | 0x7fc00000U);
  // The same bits in the places of float32 give the value times 2^-120, also for subnormals.
  return std::bit_cast<float>(sign | magnitude << 20) * 0x1p120F;
}

/// E8M0: the power 2^(bits - 127). 255 is NaN.
constexpr float e8m0_to_f32(std::uint8_t bits) {
  if (bits == 255) return std::bit_cast<float>(0x7fc00000U);
  return std::bit_cast<float>(bits == 0 ? 0x00400000U : std::uint32_t{bits} << 23);
}

}  // namespace bitaxon

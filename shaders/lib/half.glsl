// Converts float32 to float16 exactly as src/core/half.h does. GLSL's packHalf2x16 cannot be used,
// because its rounding is undefined.
#ifndef BX_HALF_GLSL
#define BX_HALF_GLSL

// n / 2^shift, rounded to the nearest integer, with ties to even. `shift` is greater than 0.
uint half_round(const uint n, const uint shift) {
  return (n + (1u << (shift - 1)) - 1 + (n >> shift & 1u)) >> shift;
}

// The bits of `value` as float16. Magnitudes of 65520 and more become infinity. NaN stays NaN.
uint half_of(const float value) {
  const uint bits = floatBitsToUint(value);
  const uint sign = bits >> 16 & 0x8000u;
  const uint magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u | magnitude >> 13 & 0x3ffu;
  if (magnitude >= 0x47800000u) return sign | 0x7c00u;
  // If rounding carries out of the mantissa, the carry increments the exponent. After the largest
  // exponent comes infinity.
  if (magnitude >= 0x38800000u) return sign | half_round(magnitude - (112u << 23), 13);
  // The result is subnormal, a multiple of 2^-24. If the magnitude is below half of 2^-24, all bits
  // are shifted out.
  const uint shift = min(126u - (magnitude >> 23), 25u);
  return sign | half_round(magnitude & 0x7fffffu | 0x800000u, shift);
}

uint halves_word(const float low, const float high) { return half_of(low) | half_of(high) << 16; }

#endif

// float32 arithmetic with integer instructions on the bits of the numbers. Results are rounded to
// nearest even, as IEEE 754 requires, including subnormal numbers, and they are the same on every
// device. (A device's own division may err by 2.5 units in the last place, and the device may flush
// subnormal numbers to zero.) The test of this file compiles it as C++.
#ifndef BX_SOFT_FLOAT_GLSL
#define BX_SOFT_FLOAT_GLSL

#include "lib/u64.glsl"

const uint kSignBit = 0x80000000u;
const uint kInfinityBits = 0x7f800000u;
const uint kNanBits = 0x7fc00000u;

bool float_is_nan(const uint a) { return (a & ~kSignBit) > kInfinityBits; }
bool float_is_inf(const uint a) { return (a & ~kSignBit) == kInfinityBits; }
bool float_is_zero(const uint a) { return (a & ~kSignBit) == 0u; }

// A finite number other than 0 is m * 2^(e - 23) with m in [2^23, 2^24). float_exponent() returns
// e, and float_significand() returns m.
int float_exponent(const uint a) {
  const uint biased = a >> 23 & 255u;
  return biased != 0u ? int(biased) - 127 : findMSB(a & 0x7fffffu) - 149;
}
uint float_significand(const uint a) {
  const uint fraction = a & 0x7fffffu;
  return (a >> 23 & 255u) != 0u ? fraction | 0x800000u
                                : fraction << uint(23 - findMSB(fraction));
}

// The float nearest to (m + s) * 2^(e - 25), where m is in [2^25, 2^26). If `inexact`, s is between
// 0 and 1, both excluded; otherwise s is 0.
uint float_round(const uint sign, const int e, const uint m, const bool inexact) {
  if (e > 127) return sign | kInfinityBits;
  const bool normal = e >= -126;
  const uint n_dropped = normal ? 2u : uint(min(-124 - e, 31));
  const uint dropped = m & ((1u << n_dropped) - 1u);
  const uint half_way = 1u << (n_dropped - 1u);
  uint kept = m >> n_dropped;
  if (dropped > half_way || (dropped == half_way && (inexact || (kept & 1u) != 0u))) kept += 1u;
  // The leading 1 of a normal number adds 1 to the exponent field, so the field begins with e + 126
  // instead of e + 127. A carry from rounding adds 1 to the field, too.
  return sign | ((normal ? uint(e + 126) << 23 : 0u) + kept);
}

uint float_multiply(const uint a, const uint b) {
  if (float_is_nan(a) || float_is_nan(b)) return kNanBits;
  const uint sign = (a ^ b) & kSignBit;
  if (float_is_inf(a) || float_is_inf(b))
    return float_is_zero(a) || float_is_zero(b) ? kNanBits : sign | kInfinityBits;
  if (float_is_zero(a) || float_is_zero(b)) return sign;
  int e = float_exponent(a) + float_exponent(b);
  // The product is in [2^62, 2^64).
  uvec2 product = u64_product(float_significand(a) << 8, float_significand(b) << 8);
  if (product.y >= kSignBit)
    e += 1;
  else
    product = u64_shift_left(product, 1u);
  return float_round(sign, e, product.y >> 6, (product.y & 63u) != 0u || product.x != 0u);
}

uint float_divide(const uint a, const uint b) {
  if (float_is_nan(a) || float_is_nan(b)) return kNanBits;
  const uint sign = (a ^ b) & kSignBit;
  if (float_is_inf(a)) return float_is_inf(b) ? kNanBits : sign | kInfinityBits;
  if (float_is_inf(b)) return sign;
  if (float_is_zero(b)) return float_is_zero(a) ? kNanBits : sign | kInfinityBits;
  if (float_is_zero(a)) return sign;
  int e = float_exponent(a) - float_exponent(b);
  uint remainder = float_significand(a);
  const uint divisor = float_significand(b);
  if (remainder < divisor) {
    remainder <<= 1;
    e -= 1;
  }
  // Long division. The quotient gets 1 bit, then 8 bits three times, and 1 last bit.
  remainder -= divisor;
  uint quotient = 1u;
  for (int i = 0; i < 3; ++i) {
    const uint digit = (remainder << 8) / divisor;
    remainder = (remainder << 8) - digit * divisor;
    quotient = quotient << 8 | digit;
  }
  remainder <<= 1;
  const uint last = uint(remainder >= divisor);
  return float_round(sign, e, quotient << 1 | last, remainder != last * divisor);
}

// order_key() maps floats to unsigned integers ("keys") in the same order. 0 and -0 have the same
// key, and the key of a NaN is above the keys of all numbers. No number has key 0.
const uint kKeyOfMinusInfinity = 0x007fffffu;
const uint kKeyOfInfinity = 0xff800000u;

uint order_key(const uint a) {
  if (float_is_nan(a)) return 0xffffffffu;
  if (float_is_zero(a)) return kSignBit;
  return (a & kSignBit) != 0u ? ~a : a | kSignBit;
}
uint of_order_key(const uint key) { return (key & kSignBit) != 0u ? key & ~kSignBit : ~key; }
bool key_is_finite(const uint key) { return key > kKeyOfMinusInfinity && key < kKeyOfInfinity; }

#endif

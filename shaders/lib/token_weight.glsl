// Computes the weight of a token in fixed point. Every device gets the same weight. The test of
// this file compiles it as C++.
#ifndef BX_TOKEN_WEIGHT_GLSL
#define BX_TOKEN_WEIGHT_GLSL

#include "lib/soft_float.glsl"

// |a| * 2^(188 - top), truncated to an integer. `a` holds the bits of a finite float. `top` is a
// biased exponent; it is 1 or more, and at least the biased exponent of a.
uvec2 magnitude(const uint a, const uint top) {
  const uint biased = a >> 23 & 255u;
  const uint m = (a & 0x7fffffu) | (biased != 0u ? 0x800000u : 0u);
  return u64_shift_right(uvec2(0u, m << 6), top - max(biased, 1u));
}

// (1 - 2^-f) / f for f in [0, 1). Argument and result are scaled by 2^64. Computed by a polynomial
// of degree 10 that equals the function at the Chebyshev nodes of [0, 1]. The product of f and the
// polynomial has an error of less than 2^-56.
uvec2 one_minus_exp2_ratio(const uvec2 f) {
  uvec2 q = uvec2(0x64a2633au, 0x00000001u);
  q = u64_sub(uvec2(0x243a2cb2u, 0x0000001du), u64_mul_high(f, q));
  q = u64_sub(uvec2(0xa1f32940u, 0x000001b3u), u64_mul_high(f, q));
  q = u64_sub(uvec2(0xc4a0bf89u, 0x0000162au), u64_mul_high(f, q));
  q = u64_sub(uvec2(0x55fba039u, 0x0000ffe5u), u64_mul_high(f, q));
  q = u64_sub(uvec2(0x5e5aee55u, 0x000a1848u), u64_mul_high(f, q));
  q = u64_sub(uvec2(0x91eba98eu, 0x005761ffu), u64_mul_high(f, q));
  q = u64_sub(uvec2(0xf5c35c79u, 0x0276556du), u64_mul_high(f, q));
  q = u64_sub(uvec2(0x8237660eu, 0x0e35846bu), u64_mul_high(f, q));
  q = u64_sub(uvec2(0x058a7da8u, 0x3d7f7bffu), u64_mul_high(f, q));
  return u64_sub(uvec2(0xd1cf7903u, 0xb17217f7u), u64_mul_high(f, q));
}

// floor(exp(logit - largest) * 2^30 + 1/2). The arguments are bits of floats; logit <= largest, and
// largest is finite. The error before rounding is less than 2^-23. So for about one token in four
// million, the weight differs by 1 from the exact weight.
uint token_weight(const uint logit, const uint largest) {
  if (logit == largest) return 1u << 30;
  if (!key_is_finite(order_key(logit))) return 0u;
  // d = largest - logit, first scaled by 2^(188 - top), then by 2^59. If d is 32 or more, d * 2^59
  // does not fit in 64 bits, but then the weight is 0.
  const uint top = max(max(logit >> 23 & 255u, largest >> 23 & 255u), 1u);
  const uvec2 a = magnitude(logit, top);
  const uvec2 b = magnitude(largest, top);
  uvec2 d = ((logit ^ largest) & kSignBit) != 0u ? u64_add(a, b)
            : u64_less(a, b)                     ? u64_sub(b, a)
                                                 : u64_sub(a, b);
  if (top < 129u) {
    d = u64_shift_right(d, 129u - top);
  } else {
    // The logits differ, so the scaled d is 2^37 or more. A left shift of more than 26 bits would
    // overflow, and the weight is 0.
    const uint shift = top - 129u;
    const uvec2 beyond = u64_shift_right(d, 64u - min(shift, 26u));
    if (shift > 26u || (beyond.x | beyond.y) != 0u) return 0u;
    d = u64_shift_left(d, shift);
  }
  // y = d * log2(e), scaled by 2^58. With y = n + f, n an integer and f in [0, 1),
  // exp(-d) = 2^-n * 2^-f.
  const uvec2 y = u64_mul_high(d, uvec2(0x5c17f0bcu, 0xb8aa3b29u));
  const uint n = y.y >> 26;
  if (n > 30u) return 0u;
  const uvec2 f = u64_shift_left(y, 6u);
  const uvec2 one_minus = u64_mul_high(f, one_minus_exp2_ratio(f));
  const uvec2 power = u64_sub(uvec2(0u, kSignBit), u64_shift_right(one_minus, 1u));  // 2^(63 - f)
  return ((power.y >> n) + 1u) >> 1;
}

#endif

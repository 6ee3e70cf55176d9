// Unsigned 64-bit integers for devices that do not have them. A number is a uvec2: the low word,
// then the high word. Tests also compile this file as C++, so it uses no `out` parameters and no
// vector arithmetic.
#ifndef BX_U64_GLSL
#define BX_U64_GLSL

bool u64_less(const uvec2 a, const uvec2 b) { return a.y < b.y || (a.y == b.y && a.x < b.x); }

uvec2 u64_add(const uvec2 a, const uvec2 b) {
  const uint low = a.x + b.x;
  return uvec2(low, a.y + b.y + uint(low < a.x));
}

uvec2 u64_sub(const uvec2 a, const uvec2 b) {
  return uvec2(a.x - b.x, a.y - b.y - uint(a.x < b.x));
}

// a << n and a >> n, for any n.
uvec2 u64_shift_left(const uvec2 a, const uint n) {
  if (n == 0u) return a;
  if (n < 32u) return uvec2(a.x << n, a.y << n | a.x >> (32u - n));
  return n < 64u ? uvec2(0u, a.x << (n - 32u)) : uvec2(0u, 0u);
}
uvec2 u64_shift_right(const uvec2 a, const uint n) {
  if (n == 0u) return a;
  if (n < 32u) return uvec2(a.x >> n | a.y << (32u - n), a.y >> n);
  return n < 64u ? uvec2(a.y >> (n - 32u), 0u) : uvec2(0u, 0u);
}

// The full 64-bit product of two words.
uvec2 u64_product(const uint a, const uint b) {
  uint high = 0u;
  uint low = 0u;
  umulExtended(a, b, high, low);
  return uvec2(low, high);
}

// The high 64 bits of the 128-bit product of two 64-bit numbers.
uvec2 u64_mul_high(const uvec2 a, const uvec2 b) {
  const uvec2 cross0 = u64_product(a.y, b.x);
  const uvec2 cross1 = u64_product(a.x, b.y);
  uvec2 middle = u64_add(uvec2(u64_product(a.x, b.x).y, 0u), uvec2(cross0.x, 0u));
  middle = u64_add(middle, uvec2(cross1.x, 0u));
  uvec2 high = u64_add(u64_product(a.y, b.y), uvec2(middle.y, 0u));
  high = u64_add(high, uvec2(cross0.y, 0u));
  return u64_add(high, uvec2(cross1.y, 0u));
}

#endif

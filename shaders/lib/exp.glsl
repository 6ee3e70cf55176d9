// exp(x) within about one unit in the last place, and exactly 1 for small x. The built-in exp may be
// off by 3 + 2|x| of them, which makes ties where there are none and breaks those that are.
//   x = n * ln 2 + r, |r| <= ln 2 / 2;  exp(x) = 2^n * exp(r)
// 0 below -87, where the result is no longer a normal number; for x at most 88.
#ifndef BX_EXP_GLSL
#define BX_EXP_GLSL

float accurate_exp(const float x) {
  // A few bits of ln 2, so that n * kHigh is exact, and the rest.
  const float kHigh = 355.0 / 512.0;
  const float kLow = -2.1219444005469057e-4;
  const float n = roundEven(max(x, -87.0) * 1.4426950408889634);
  precise const float r = (x - n * kHigh) - n * kLow;
  // Taylor's series: the next term is r^8 / 8! < 2^-27.
  float sum = 1.0 / 5040.0;
  sum = sum * r + 1.0 / 720.0;
  sum = sum * r + 1.0 / 120.0;
  sum = sum * r + 1.0 / 24.0;
  sum = sum * r + 1.0 / 6.0;
  sum = sum * r + 0.5;
  precise const float power = 1.0 + (r + r * r * sum);
  return x < -87.0 ? 0.0 : power * uintBitsToFloat(uint(int(n) + 127) << 23);
}

#endif

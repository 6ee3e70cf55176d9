// Exponentials and logarithms that are more accurate than those of GLSL. GLSL allows exp() an error
// of 3 + 2|x| units in the last place, and it has no accurate function for exp(x) - 1. NaN stays
// NaN in all functions here: they apply bounds by comparisons, because min() and max() may return
// the other argument if one is NaN.
#ifndef BX_MATH_GLSL
#define BX_MATH_GLSL

// Splits exp(x) = scale * (1 + rest), where scale is a power of two and |rest| <= 0.42. Both
// results are accurate. With them, a value can be multiplied by exp(x) without first rounding a
// factor close to 1. For x below -88, scale is 0. For x above 88, the result is that for 88.
void exp_parts(float x, out float scale, out float rest) {
  x = x < -88.0 ? -88.0 : x;
  x = x > 88.0 ? 88.0 : x;
  const float n = floor(x * 1.44269504 + 0.5);
  // Subtracts n * ln 2, with ln 2 in two parts. The first part has few bits, so its product with n
  // is exact.
  precise const float high = x - n * 0.693359375;
  precise const float r = high + n * 2.12194440e-4;
  // The Taylor series of exp(r) - 1. |r| <= 0.347, so the first omitted term, r^8 / 8!, is below
  // half a unit in the last place.
  float series = 1.0 / 5040.0;
  series = series * r + 1.0 / 720.0;
  series = series * r + 1.0 / 120.0;
  series = series * r + 1.0 / 24.0;
  series = series * r + 1.0 / 6.0;
  series = series * r + 0.5;
  series = series * r + 1.0;
  rest = series * r;
  scale = uintBitsToFloat(uint(int(n) + 127) << 23);
}

// exp(x), accurate to about one unit in the last place for -88 <= x <= 88. Gives 0 for smaller x,
// and more than 2^127 for larger x.
float exp_of(const float x) {
  float scale, rest;
  exp_parts(x, scale, rest);
  return scale + scale * rest;
}

// log(1 + x) for 0 <= x <= 1, as 2 artanh(t) with t = x / (2 + x) <= 1/3. The first omitted term is
// t^17 / 17.
float log1p_of(const float x) {
  const float t = x / (2.0 + x);
  const float t2 = t * t;
  float series = 1.0 / 15.0;
  series = series * t2 + 1.0 / 13.0;
  series = series * t2 + 1.0 / 11.0;
  series = series * t2 + 1.0 / 9.0;
  series = series * t2 + 1.0 / 7.0;
  series = series * t2 + 0.2;
  series = series * t2 + 1.0 / 3.0;
  series = series * t2 + 1.0;
  return 2.0 * t * series;
}

// log(x) for x >= 1.
float log_of(const float x) {
  const uint bits = floatBitsToUint(x);
  const float exponent = float(int(bits >> 23) - 127);
  const float mantissa = uintBitsToFloat((bits & 0x7fffffu) | 0x3f800000u);
  const float value = exponent * 0.693147181 + log1p_of(mantissa - 1.0);
  return x < 3.4e38 ? value : x;  // infinity and NaN stay
}

// log(1 + x) for x >= 0.
float log1p_any(const float x) { return x <= 1.0 ? log1p_of(x) : log_of(1.0 + x); }

// a * b + c with the error of nearly a single rounding, even if the device does not fuse fma(). A
// separate rounding of the product would matter: if a * b and c almost cancel, its error dominates
// the result.
// Source: Dekker 1971, "A floating-point technique for extending the available precision".
float fused(const float a, const float b, const float c) {
  precise const float product = a * b;
  precise const float sum = product + c;
  // The correction would turn infinities into NaN.
  if (!(abs(product) < 1e30 && abs(c) < 1e30)) return sum;
  // Split into parts of 12 bits, whose products are exact.
  const float a_high = uintBitsToFloat(floatBitsToUint(a) & 0xfffff000u);
  const float b_high = uintBitsToFloat(floatBitsToUint(b) & 0xfffff000u);
  precise const float a_low = a - a_high;
  precise const float b_low = b - b_high;
  precise const float product_error =
      ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
  precise const float c_part = sum - product;
  precise const float sum_error = (product - (sum - c_part)) + (c - c_part);
  precise const float result = sum + (product_error + sum_error);
  return result;
}

// log(1 + exp(x)) without overflow.
float softplus(const float x) { return (x > 0.0 ? x : 0.0) + log1p_of(exp_of(-abs(x))); }

// x / (1 + exp(-x)) without overflow.
float silu(const float x) {
  const float e = exp_of(-abs(x));
  return x * (x < 0.0 ? e : 1.0) / (1.0 + e);
}

// The derivative of silu(x): s * (1 + x * (1 - s)), s = 1 / (1 + exp(-x)). Both s and 1 - s are
// accurate.
float silu_slope(const float x) {
  const float e = exp_of(-abs(x));
  const float s = (x < 0.0 ? e : 1.0) / (1.0 + e);
  const float rest = (x < 0.0 ? 1.0 : e) / (1.0 + e);
  return s * (1.0 + x * rest);
}

// 1 / (1 + exp(-x))
float sigmoid(const float x) {
  const float e = exp_of(-abs(x));
  return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

#endif

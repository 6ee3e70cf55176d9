// Exponentials and logarithms that are more accurate than those of GLSL. GLSL allows exp() an error
// of 3 + 2|x| units in the last place, and it has no accurate function for exp(x) - 1. NaN stays
// NaN in all functions here: they apply bounds by comparisons, because min() and max() may return
// the other argument if one is NaN.
#ifndef BX_MATH_GLSL
#define BX_MATH_GLSL

bool is_nan(const float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

// A function of its own, because `precise` reaches back to all operations of its function, and the
// product here may be fused.
float nearest_integer(const float x, const float factor) { return floor(x * factor + 0.5); }

// Splits exp(x) = scale * (1 + rest), where scale is a power of two and |rest| <= 0.42. Both
// results are accurate. With them, a value can be multiplied by exp(x) without first rounding a
// factor close to 1. For x below -88, scale is 0. x must be at most 88.
void exp_parts_below(float x, out float scale, out float rest) {
  x = x < -88.0 ? -88.0 : x;
  const float n = nearest_integer(x, 1.44269504);
  // Subtracts n * ln 2, with ln 2 in two parts. The first part has few bits, so its product with n
  // is exact, whether or not the device fuses fma().
  precise const float high = fma(n, -0.693359375, x);
  precise const float r = fma(n, 2.12194440e-4, high);
  // (exp(r) - 1) / r for |r| <= 0.347, as the polynomial of degree 5 with the smallest relative
  // error, which is 1.4e-8.
  float series = 1.3882518e-3;
  series = series * r + 8.366538e-3;
  series = series * r + 4.16672e-2;
  series = series * r + 0.16666543;
  series = series * r + 0.49999997;
  series = series * r + 1.0;
  rest = series * r;
  scale = uintBitsToFloat(uint(int(n) + 127) << 23);
}

// The same for all x. For x above 88, the result is that for 88.
void exp_parts(const float x, out float scale, out float rest) {
  exp_parts_below(x > 88.0 ? 88.0 : x, scale, rest);
}

// A number of this size has steps of 1, so adding it rounds to the nearest integer n. The lowest bits
// of the sum are n + 127, the exponent bits of 2^n.
const float kRounding = 12582912.0 + 127.0;
float with_rounding(const float x, const float factor) { return x * factor + kRounding; }

// Splits 2^-(127 * share) in the same way, for a share that the function limits to 0..1. The result
// of NaN is any number. For a share of 1, scale is 0. Costs two thirds of exp_parts(). Must not be
// used in a loop that is marked [[unroll]]: there, shaderc 2023.2 forgets what is precise, and a
// compiler may simplify (x + k) - k.
void decay_parts(float share, out float scale, out float rest) {
  share = clamp(share, 0.0, 1.0);
  const float rounded = with_rounding(share, -127.0);
  precise const float n = rounded - kRounding;
  const float r = share * -127.0 - n;
  // (2^r - 1) / r for |r| <= 0.5, as above. The largest relative error is 1.1e-8.
  float series = 1.5403512e-4;
  series = series * r + 1.3390735e-3;
  series = series * r + 9.618238e-3;
  series = series * r + 5.5503573e-2;
  series = series * r + 0.24022649;
  series = series * r + 0.6931472;
  rest = series * r;
  scale = uintBitsToFloat(floatBitsToUint(rounded) << 23);
}
// The share of decay_parts() that stands for exp(-1).
const float kDecayOfOne = 1.44269504 / 127.0;

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
  // The correction would turn an infinite sum into NaN.
  if (!(abs(sum) < 1e30)) return sum;
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

// log(1 + exp(x)) without overflow. If x is NaN, the second term is NaN, whatever max() returns.
float softplus(const float x) { return max(x, 0.0) + log1p_of(exp_of(-abs(x))); }

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

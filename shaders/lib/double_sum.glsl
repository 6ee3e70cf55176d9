// Sums with more precision than float32. A sum is a vec2: its value, then the part that the value
// lacks.
// Source: Knuth, "The art of computer programming", volume 2, section 4.2.2 (the error of a sum);
// Dekker 1971, "A floating-point technique for extending the available precision" (of a product).
#ifndef BX_DOUBLE_SUM_GLSL
#define BX_DOUBLE_SUM_GLSL

// The largest number of invocations of a workgroup.
shared vec2 double_sum_parts[1024];

vec2 double_sum(const vec2 a, const vec2 b) {
  precise const float value = a.x + b.x;
  precise const float b_part = value - a.x;
  precise const float error = (a.x - (value - b_part)) + (b.x - b_part);
  precise const float rest = error + (a.y + b.y);
  return vec2(value, rest);
}

vec2 double_square(const float x) {
  precise const float value = x * x;
  // Parts of 12 bits, whose products are exact.
  const float high = uintBitsToFloat(floatBitsToUint(x) & 0xfffff000u);
  precise const float low = x - high;
  precise const float error = ((high * high - value) + 2.0 * high * low) + low * low;
  return vec2(value, error);
}

// Returns the sum over the workgroup to every invocation. `group` is gl_WorkGroupSize.x, which has its
// value only behind the layout of the shader. It is a power of two. All invocations must call this
// function once, in uniform control flow.
vec2 double_group_sum(const uint group, const vec2 mine) {
  double_sum_parts[gl_LocalInvocationID.x] = mine;
  for (uint n = group / 2; n > 0; n /= 2) {
    barrier();
    if (gl_LocalInvocationID.x < n)
      double_sum_parts[gl_LocalInvocationID.x] =
          double_sum(double_sum_parts[gl_LocalInvocationID.x],
                     double_sum_parts[gl_LocalInvocationID.x + n]);
  }
  barrier();
  return double_sum_parts[0];
}

#endif

// Shared by the attention kernels: which keys a row attends to, and the exponential function.
#ifndef BX_ATTENTION_GLSL
#define BX_ATTENTION_GLSL

#include "lib/math.glsl"
#include "lib/step.glsl"
#include "params/attention.h"

layout(push_constant, scalar) uniform Push { AttentionPush p; };

// The initial value of the largest score. It is the lowest finite number, so only a score of
// -infinity is lower.
const float kLowest = -3.402823466e+38;

// The positions that a row attends to: n positions, beginning at `first`.
struct KeySpan {
  uint first;
  uint n;
};
KeySpan keys_at(const uint position) {
  const uint before = min(position, p.window - 1);
  return KeySpan(position - before, before + 1);
}

// The number of keys in each part when n keys are split into parts. The last part has the
// remainder.
uint split_keys(const uint n) { return max((n + p.n_splits - 1) / p.n_splits, p.min_split_keys); }
uint n_splits_of(const uint n) {
  const uint keys = split_keys(n);
  return (n + keys - 1) / keys;
}

// Scores are logarithms to base 2, because exp2() costs less than exp().
const float kLog2E = 1.44269504;

// 2^x for x <= 0. The result of NaN is any number.
float exp2_of(const float x) { return x < -150.0 ? 0.0 : exp2(x); }
// For NaN the result is NaN, even if the driver's exp2() returns another value.
float softmax_exp2(const float x) { return is_nan(x) ? x : exp2_of(x); }

#endif

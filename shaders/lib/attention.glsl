// Shared by the attention kernels: which keys a row attends to, and the exponential.
#ifndef BX_ATTENTION_GLSL
#define BX_ATTENTION_GLSL

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

// exp(x) for x <= 0. For NaN the result is NaN, even if the driver's exp() returns another value.
float softmax_exp(const float x) {
  if ((floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u) return x;
  return x < -104.0 ? 0.0 : exp(x);
}

#endif

// What the attention kernels share: which keys a row sees, how its softmax is taken.
#ifndef BX_ATTENTION_GLSL
#define BX_ATTENTION_GLSL

#include "lib/step.glsl"
#include "params/attention.h"

layout(push_constant, scalar) uniform Push { AttentionPush p; };

// Stands for the largest of no scores at all. Finite, so that a score of minus infinity is lower.
const float kLowest = -3.402823466e+38;

// The ring positions that a row sees: `n`, the first of them `first`.
struct KeySpan {
  uint first;
  uint n;
};
KeySpan keys_at(const uint position) {
  const uint before = min(position, p.window - 1);
  return KeySpan(position - before, before + 1);
}

// Keys of each part when n keys are split; the last part has what is left.
uint split_keys(const uint n) { return max((n + p.n_splits - 1) / p.n_splits, p.min_split_keys); }
uint n_splits_of(const uint n) {
  const uint keys = split_keys(n);
  return (n + keys - 1) / keys;
}

// exp(x) for an x that is at most 0 or NaN, which stays NaN whatever the driver's exp does.
float exp_of(const float x) {
  if ((floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u) return x;
  return x < -104.0 ? 0.0 : exp(x);
}

#endif

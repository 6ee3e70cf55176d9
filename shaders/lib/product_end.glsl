// The end of a product: makes an element of the result from a sum.
//   v = sum + bias[weight_row + o], or sum without a bias
//   y = v, v + other, or silu(v) * other (params/product_end.h)
//
// The including shader has p.bias and p.weight_row. It declares other[], and the constants kHasBias
// and kOther.
#ifndef BX_PRODUCT_END_GLSL
#define BX_PRODUCT_END_GLSL

#include "lib/math.glsl"
#include "lib/weight.glsl"
#include "params/product_end.h"

// `o` is the output, and `at` is the index of the element in other[].
float product_end(const float sum, const uint o, const uint at) {
  float value = sum;
  if (kHasBias) value += Floats(p.bias.data).at[p.weight_row + o];
  if (kOther == BX_OTHER_ADDED) value += other[at];
  if (kOther == BX_OTHER_GATED) value = silu(value) * other[at];
  return value;
}

#endif

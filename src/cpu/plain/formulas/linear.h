// The gradient of a product, output by output. T is float in the kernel and double in the test of
// the gradient.
//   y[o] = sum_c w[o, c] * x[c];  g_x[c] = sum_o g_y[o] * w[o, c]
#pragma once

#include <cstdint>

namespace bitaxon::cpu::formulas {

/// Adds the part of g_x that goes through one output, which has the gradient g_y.
/// w  [cols]: the row of this output
template <class T>
void linear_backward(T g_y, const T* w, std::int64_t cols, double* g_x) {
  for (std::int64_t c = 0; c < cols; ++c) g_x[c] += static_cast<double>(g_y) * w[c];
}

}  // namespace bitaxon::cpu::formulas

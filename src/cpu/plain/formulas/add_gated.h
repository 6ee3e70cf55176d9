// A row that is added with a gate, and the gradients of the row and the gate. T is float in kernels
// and double in tests of the gradients.
//   y = x + gate * b
#pragma once

#include <cstdint>

namespace bitaxon::cpu::formulas {

template <class T>
void add_gated(const T* x, const T* b, T gate, std::int64_t cols, T* y) {
  for (std::int64_t c = 0; c < cols; ++c)
    y[c] = static_cast<T>(x[c] + static_cast<double>(gate) * b[c]);
}

/// Returns the gradient of the gate.
template <class T>
T add_gated_backward(const T* b, T gate, const T* g_y, std::int64_t cols, T* g_b) {
  double sum = 0;
  for (std::int64_t c = 0; c < cols; ++c) {
    sum += static_cast<double>(g_y[c]) * b[c];
    g_b[c] = static_cast<T>(static_cast<double>(gate) * g_y[c]);
  }
  return static_cast<T>(sum);
}

}  // namespace bitaxon::cpu::formulas

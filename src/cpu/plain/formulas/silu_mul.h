// The product of SwiGLU and its gradient. T is float in kernels and double in tests of the
// gradients.
//   y = silu(gate) * up
#pragma once

#include <cmath>

namespace bitaxon::cpu::formulas {

inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
inline double silu(double x) { return x / (1.0 + std::exp(-x)); }
/// silu'(x) = s * (1 + x * (1 - s)), s = sigmoid(x)
inline double silu_slope(double x) { return sigmoid(x) * (1.0 + x * sigmoid(-x)); }

template <class T>
T silu_mul(T gate, T up) {
  return static_cast<T>(silu(gate) * static_cast<double>(up));
}

template <class T>
struct SiluMulSlopes {
  T gate, up;
};
template <class T>
SiluMulSlopes<T> silu_mul_backward(T gate, T up, T g_y) {
  return {static_cast<T>(static_cast<double>(g_y) * up * silu_slope(gate)),
          static_cast<T>(static_cast<double>(g_y) * silu(gate))};
}

}  // namespace bitaxon::cpu::formulas

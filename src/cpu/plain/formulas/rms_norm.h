// RMS norm and its gradient. T is the type of the numbers in memory. Sums are float64. Kernels use
// float, and tests of the gradients use double.
//   y[c] = norm[c] * x[c] * rho,  rho = 1 / sqrt(mean(x^2) + eps)
//   g_x = rho * norm * g_y - x * rho^3 * mean(norm * g_y * x)
#pragma once

#include <cmath>
#include <cstdint>

namespace bitaxon::cpu::formulas {

template <class T>
double inverse_rms(const T* x, double eps, std::int64_t cols) {
  double sum = 0;
  for (std::int64_t c = 0; c < cols; ++c) sum += static_cast<double>(x[c]) * x[c];
  return 1.0 / std::sqrt(sum / static_cast<double>(cols) + eps);
}

template <class T>
void rms_norm(const T* x, const T* norm, double eps, std::int64_t cols, T* y) {
  const double rho = inverse_rms(x, eps, cols);
  for (std::int64_t c = 0; c < cols; ++c)
    y[c] = static_cast<T>(static_cast<double>(norm[c]) * x[c] * rho);
}

template <class T>
void rms_norm_backward(const T* x, const T* norm, double eps, const T* g_y, std::int64_t cols,
                       T* g_x) {
  const double rho = inverse_rms(x, eps, cols);
  double sum = 0;
  for (std::int64_t c = 0; c < cols; ++c) sum += static_cast<double>(norm[c]) * g_y[c] * x[c];
  const double along = sum / static_cast<double>(cols) * rho * rho * rho;
  for (std::int64_t c = 0; c < cols; ++c)
    g_x[c] = static_cast<T>(static_cast<double>(norm[c]) * g_y[c] * rho - x[c] * along);
}

}  // namespace bitaxon::cpu::formulas

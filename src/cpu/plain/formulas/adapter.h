// An adapter of a linear layer and its gradients. T is float in kernels and double in tests of the
// gradients. All sums are float64, over rows in ascending order.
//   o = base + scale * (x A) B;  y = (m / n) * o for DoRA
//   g_o = (m / n) * g_y;  u = x A;  t = scale * g_o B^T
//   g_m += colsum(g_y * o) / n;  g_B += scale * u^T g_o;  g_A += x^T t;  g_x = t A^T
#pragma once

#include <cmath>
#include <cstdint>

#include "ops/adapter.h"

namespace bitaxon::cpu::formulas {

/// The parameters of one layer, and the norms of its adapted weight.
template <class T>
struct AdapterLayer {
  std::int64_t n_in, n_out, rank;
  double scale;
  const T* a;            ///< [in, rank]
  const T* b;            ///< [rank, out]
  const T* m = nullptr;  ///< [out]; nullptr for LoRA
  const T* n = nullptr;  ///< [out]

  /// m / n. 1 for LoRA, and where n is 0.
  double factor(std::int64_t o) const {
    if (m == nullptr || n[o] == T{0}) return 1;
    return static_cast<double>(m[o]) / static_cast<double>(n[o]);
  }
};

/// The layer whose parameters are at `place` in the vectors of all parameters and all norms.
template <class T>
AdapterLayer<T> layer_at(const AdapterPlace& place, const T* parameters, const T* norms,
                         std::int64_t n_in, std::int64_t n_out) {
  const bool is_dora = place.is_dora != 0;
  return {n_in,
          n_out,
          place.rank,
          static_cast<double>(place.scale),
          parameters + place.a,
          parameters + place.b,
          is_dora ? parameters + place.m : nullptr,
          is_dora ? norms + place.norm : nullptr};
}

/// u[k] = sum_i x[i] A[i, k]
template <class T>
void adapter_inner(const AdapterLayer<T>& layer, const T* x, double* u) {
  for (std::int64_t k = 0; k < layer.rank; ++k) {
    u[k] = 0;
    for (std::int64_t i = 0; i < layer.n_in; ++i)
      u[k] += static_cast<double>(x[i]) * static_cast<double>(layer.a[i * layer.rank + k]);
  }
}

/// o = base + scale * u B, for one output
template <class T>
double adapter_output(const AdapterLayer<T>& layer, const double* u, T base, std::int64_t o) {
  double sum = 0;
  for (std::int64_t k = 0; k < layer.rank; ++k)
    sum += u[k] * static_cast<double>(layer.b[k * layer.n_out + o]);
  return static_cast<double>(base) + layer.scale * sum;
}

/// The gradients of the parameters of one layer, and of one row.
struct AdapterSums {
  double* a;  ///< [in, rank], added to
  double* b;  ///< [rank, out]
  double* m;  ///< [out]; unused for LoRA
};

/// The gradients that one row contributes. `base` is unused for LoRA.
/// u, t  [rank]: scratch
/// g_x   [in]: receives the gradient of the row x
/// g_o   [out]: receives the gradient of the row o; may be nullptr
template <class T>
void adapter_backward_row(const AdapterLayer<T>& layer, const T* x, const T* base, const T* g_y,
                          const AdapterSums& sums, double* u, double* t, T* g_x, T* g_o) {
  adapter_inner(layer, x, u);
  for (std::int64_t k = 0; k < layer.rank; ++k) t[k] = 0;
  for (std::int64_t o = 0; o < layer.n_out; ++o) {
    const double gradient = layer.factor(o) * static_cast<double>(g_y[o]);
    if (layer.m != nullptr && layer.n[o] != T{0})
      sums.m[o] += static_cast<double>(g_y[o]) * adapter_output(layer, u, base[o], o) /
                   static_cast<double>(layer.n[o]);
    for (std::int64_t k = 0; k < layer.rank; ++k) {
      sums.b[k * layer.n_out + o] += layer.scale * u[k] * gradient;
      t[k] += layer.scale * gradient * static_cast<double>(layer.b[k * layer.n_out + o]);
    }
    if (g_o != nullptr) g_o[o] = static_cast<T>(gradient);
  }
  for (std::int64_t i = 0; i < layer.n_in; ++i) {
    double sum = 0;
    for (std::int64_t k = 0; k < layer.rank; ++k) {
      sum += t[k] * static_cast<double>(layer.a[i * layer.rank + k]);
      sums.a[i * layer.rank + k] += static_cast<double>(x[i]) * t[k];
    }
    g_x[i] = static_cast<T>(sum);
  }
}

/// || W[k, :] + scale * (A B)^T[k, :] || for output k, where w is row k of W.
template <class T>
double adapted_norm(const AdapterLayer<T>& layer, const T* w, std::int64_t k) {
  double squares = 0;
  for (std::int64_t i = 0; i < layer.n_in; ++i) {
    double sum = 0;
    for (std::int64_t j = 0; j < layer.rank; ++j)
      sum += static_cast<double>(layer.a[i * layer.rank + j]) *
             static_cast<double>(layer.b[j * layer.n_out + k]);
    const double value = static_cast<double>(w[i]) + layer.scale * sum;
    squares += value * value;
  }
  return std::sqrt(squares);
}

}  // namespace bitaxon::cpu::formulas

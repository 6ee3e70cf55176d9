// The selective scan of one channel, and its gradient (selective_scan in ops.h):
//   h_t = alpha_t * h_{t-1} + dt_t * u_t * B_t,  alpha_t = exp(dt_t * a)
//   s_t = h_t . C_t + skip * u_t;  y_t = s_t * silu(z_t)
// For t descending, with g_s = g_y * silu(z):
//   G[n] = carry[n] + g_s * C_t[n];  carry[n] = G[n] * alpha_t[n]
//   g_C[t, n] += g_s * h_t[n];  g_B[t, n] += G[n] * dt * u
//   g_u = skip * g_s + dt * (G . B_t);  g_dt = sum_n a[n] * carry[n] * h_{t-1}[n] + u * (G . B_t)
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "cpu/plain/formulas/conv.h"
#include "cpu/plain/formulas/silu_mul.h"

namespace bitaxon::cpu::formulas {

/// log(1 + exp(x)) without overflow.
inline double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

/// One channel of one segment. `T` is float, or double for tests. States and carries are rounded to
/// T after every row, so that a sequence gives the same numbers in one step and in several.
template <class T>
struct ScanChannel {
  std::int64_t n_rows, n_states;
  const T* a_log;  ///< [N]
  double dt_bias, skip, dt_min, dt_max;
  ChannelRows<const T> u, z;
  const T* bc;             ///< [n_rows, 2, N]: B and C after their norms
  std::int64_t bc_stride;  ///< elements from one row of bc to the next
  ChannelRows<const T> h;  ///< [N]: the state before the segment; null for zeros

  /// The results of backward(). The sums over channels are added to.
  struct Gradients {
    ChannelRows<T> u, z;
    double* raw;  ///< [n_rows]: of the time step before its bias and softplus
    double* bc;   ///< [n_rows, 2, N], bc_stride apart: sums over channels
    std::int64_t bc_stride;
  };

  double a(std::int64_t n) const { return -std::exp(static_cast<double>(a_log[n])); }
  double clipped(double softplus_of_raw) const {
    return std::clamp(softplus_of_raw, dt_min, dt_max);
  }
  double b_at(std::int64_t t, std::int64_t n) const {
    return static_cast<double>(bc[t * bc_stride + n]);
  }
  double c_at(std::int64_t t, std::int64_t n) const { return b_at(t, n_states + n); }

  /// Computes the states [n_rows + 1, N], from the state before the segment on.
  /// raw  the time steps before bias and softplus
  template <class Raw>
  void compute_states(const Raw& raw, T* states) const {
    for (std::int64_t n = 0; n < n_states; ++n) states[n] = h ? h[n] : T(0);
    for (std::int64_t t = 0; t < n_rows; ++t) {
      const double dt = clipped(softplus(raw(t) + dt_bias));
      const auto input = static_cast<double>(u[t]);
      for (std::int64_t n = 0; n < n_states; ++n)
        states[(t + 1) * n_states + n] =
            static_cast<T>(std::exp(dt * a(n)) * static_cast<double>(states[t * n_states + n]) +
                           dt * input * b_at(t, n));
    }
  }

  /// Row t of the result before its gate.
  double sum_at(std::int64_t t, const T* states) const {
    double sum = skip * static_cast<double>(u[t]);
    for (std::int64_t n = 0; n < n_states; ++n)
      sum += static_cast<double>(states[(t + 1) * n_states + n]) * c_at(t, n);
    return sum;
  }

  template <class Raw>
  void forward(const Raw& raw, T* states, const ChannelRows<T>& y) const {
    compute_states(raw, states);
    for (std::int64_t t = 0; t < n_rows; ++t) {
      const auto gate = static_cast<double>(z[t]);
      y[t] = static_cast<T>(sum_at(t, states) * gate * sigmoid(gate));
    }
  }

  /// carry   [N]: exp(dt * a) * G of the row behind the segment; at the end, that of the first row
  /// states  [n_rows + 1, N]: scratch
  template <class Raw>
  void backward(const Raw& raw, const ChannelRows<const T>& g_y, T* carry, T* states,
                const Gradients& g) const {
    compute_states(raw, states);
    for (std::int64_t t = n_rows; t-- > 0;) {
      const double q = raw(t) + dt_bias;
      const double dt = clipped(softplus(q));
      const auto input = static_cast<double>(u[t]);
      const auto gate = static_cast<double>(z[t]);
      const auto g_of_y = static_cast<double>(g_y[t]);
      const double g_sum = g_of_y * gate * sigmoid(gate);
      g.z[t] = static_cast<T>(g_of_y * sum_at(t, states) * silu_slope(gate));
      double through_b = 0;
      double g_dt = 0;
      for (std::int64_t n = 0; n < n_states; ++n) {
        const double big_g = static_cast<double>(carry[n]) + g_sum * c_at(t, n);
        const auto before = static_cast<double>(states[t * n_states + n]);
        const auto after = static_cast<double>(states[(t + 1) * n_states + n]);
        const double kept = big_g * std::exp(dt * a(n));
        through_b += big_g * b_at(t, n);
        g_dt += a(n) * kept * before;
        g.bc[t * g.bc_stride + n] += big_g * dt * input;
        g.bc[t * g.bc_stride + n_states + n] += g_sum * after;
        carry[n] = static_cast<T>(kept);
      }
      g.u[t] = static_cast<T>(skip * g_sum + dt * through_b);
      g_dt += input * through_b;
      // The clip passes a gradient only strictly between its bounds. NaN stays NaN.
      const double unclipped = softplus(q);
      const bool stops = unclipped <= dt_min || unclipped >= dt_max;
      g.raw[t] = stops ? 0 : g_dt * sigmoid(q);
    }
  }
};

}  // namespace bitaxon::cpu::formulas

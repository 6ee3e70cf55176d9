// A causal convolution of one channel, with a SiLU, and its gradient:
//   a[r] = bias + sum_k taps[k] * v[r - (K-1) + k];  u[r] = silu(a[r])
//   g_a[r] = g_u[r] * silu'(a[r]);  g_v[r] = sum_k taps[k] * g_a[r + K-1-k]
#pragma once

#include <cstdint>

#include "cpu/plain/formulas/silu_mul.h"

namespace bitaxon::cpu::formulas {

/// The rows of one channel in an array. `T` is float, or double for tests.
template <class T>
struct ChannelRows {
  T* first = nullptr;
  std::int64_t stride = 1;  ///< elements from one row to the next

  T& operator[](std::int64_t row) const { return first[row * stride]; }
  explicit operator bool() const { return first != nullptr; }
};

/// One channel of one segment.
template <class T>
struct ConvChannel {
  std::int64_t n_rows, n_taps;
  const T* taps;
  double bias;
  ChannelRows<const T> v;
  ChannelRows<const T> tail;  ///< [K-1]: rows before the segment, oldest first; null for zeros

  /// Row `row` of v. A negative row lies before the segment.
  T v_at(std::int64_t row) const {
    if (row >= 0) return v[row];
    return tail ? tail[n_taps - 1 + row] : T(0);
  }
  /// The sum before the SiLU.
  double sum_at(std::int64_t row) const {
    double sum = bias;
    for (std::int64_t k = 0; k < n_taps; ++k)
      sum += static_cast<double>(taps[k]) * static_cast<double>(v_at(row - (n_taps - 1) + k));
    return sum;
  }

  void forward(const ChannelRows<T>& u) const {
    for (std::int64_t r = 0; r < n_rows; ++r) {
      u[r] = static_cast<T>(silu(sum_at(r)));
    }
  }
  /// carry_in, carry_out  [K-1], possibly the same memory; null for zeros, or to write nothing
  /// g_a                  [n_rows + K-1]: scratch
  void backward(const ChannelRows<const T>& g_u, const ChannelRows<const T>& carry_in,
                const ChannelRows<T>& g_v, const ChannelRows<T>& carry_out, T* g_a) const {
    for (std::int64_t r = 0; r < n_rows; ++r)
      g_a[r] = static_cast<T>(static_cast<double>(g_u[r]) * silu_slope(sum_at(r)));
    for (std::int64_t j = 0; j < n_taps - 1; ++j) g_a[n_rows + j] = carry_in ? carry_in[j] : T(0);
    for (std::int64_t r = 0; r < n_rows; ++r) {
      double sum = 0;
      for (std::int64_t k = 0; k < n_taps; ++k)
        sum += static_cast<double>(taps[k]) * static_cast<double>(g_a[r + n_taps - 1 - k]);
      g_v[r] = static_cast<T>(sum);
    }
    if (!carry_out) return;
    for (std::int64_t j = 0; j < n_taps - 1; ++j) carry_out[j] = g_a[j];
  }
};

}  // namespace bitaxon::cpu::formulas

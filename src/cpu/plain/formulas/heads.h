// The norm and the rotation of one head, and their gradient (attn_in in ops.h). T is float in
// kernels and double in tests of the gradients.
//   n[i] = norm[i] * h[i] / sqrt(mean(h^2) + eps)
//   turned[i] = n[i] * cos[i] - n[i + d/2] * sin[i];  turned[i + d/2] = n[i + d/2] * cos[i] + n[i] * sin[i]
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/plain/formulas/rms_norm.h"

namespace bitaxon::cpu::formulas {

/// How a head is turned. Both parts are optional.
template <class T>
struct HeadTurn {
  std::int64_t head_dim = 0;
  const T* norm = nullptr;    ///< [d]
  const T* angles = nullptr;  ///< [d]: pairs of cosine and sine
  double eps = 0;

  /// head, out  may be the same memory
  void forward(const T* head, T* out) const {
    if (norm != nullptr)
      rms_norm(head, norm, eps, head_dim, out);
    else if (out != head)
      std::copy_n(head, head_dim, out);
    if (angles != nullptr) rotate(out, 1);
  }
  /// g_out, g_head  may be the same memory
  void backward(const T* head, const T* g_out, T* g_head) const {
    if (g_head != g_out) std::copy_n(g_out, head_dim, g_head);
    if (angles != nullptr) rotate(g_head, -1);
    if (norm != nullptr) rms_norm_backward(head, norm, eps, g_head, head_dim, g_head);
  }

 private:
  /// Rotates the head forward or, with direction -1, back.
  void rotate(T* head, double direction) const {
    const std::int64_t half = head_dim / 2;
    for (std::int64_t i = 0; i < half; ++i) {
      const double cosine = angles[2 * i];
      const double sine = direction * angles[2 * i + 1];
      const double low = head[i];
      const double high = head[i + half];
      head[i] = static_cast<T>(low * cosine - high * sine);
      head[i + half] = static_cast<T>(high * cosine + low * sine);
    }
  }
};

}  // namespace bitaxon::cpu::formulas

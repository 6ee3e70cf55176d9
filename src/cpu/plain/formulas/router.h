// The gradient of one row of a router (moe_route_backward in training_ops.h). T is float in kernels
// and double in tests of the gradients.
//   over all experts:         g = softmax(logits); d_logit = g * (d - dot(d, g))
//   over the chosen experts:  the same with the softmax of their logits, which are the renormalized
//                             gates; 0 for the other experts
// d is the gradient of a gate for a chosen expert, and 0 for the others.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace bitaxon::cpu::formulas {

/// logits   [n_experts]: the logits, which become their gradients
/// experts  [top_k]: the chosen experts
/// g_gates  [top_k]
template <class T>
void router_backward(double* logits, std::int64_t n_experts, const std::int32_t* experts,
                     std::int64_t top_k, bool renormalize, const T* g_gates) {
  const auto slot_of = [&](std::int64_t e) {
    return std::find(experts, experts + top_k, static_cast<std::int32_t>(e)) - experts;
  };
  const auto takes_part = [&](std::int64_t e) { return !renormalize || slot_of(e) < top_k; };
  double largest = -std::numeric_limits<double>::infinity();
  for (std::int64_t e = 0; e < n_experts; ++e)
    if (takes_part(e)) largest = std::max(largest, logits[e]);
  double total = 0;
  for (std::int64_t e = 0; e < n_experts; ++e) {
    logits[e] = takes_part(e) ? std::exp(logits[e] - largest) : 0;
    total += logits[e];
  }
  double along = 0;
  for (std::int64_t s = 0; s < top_k; ++s)
    along += static_cast<double>(g_gates[s]) * logits[experts[s]] / total;
  for (std::int64_t e = 0; e < n_experts; ++e) {
    const std::int64_t slot = slot_of(e);
    const double d = slot < top_k ? static_cast<double>(g_gates[slot]) : 0;
    logits[e] = logits[e] / total * (d - along);
  }
}

}  // namespace bitaxon::cpu::formulas

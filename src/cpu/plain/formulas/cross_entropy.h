// Cross entropy of one row of logits, and its gradient. T is float in kernels and double in tests of
// the gradients.
//   log p = log softmax(logits)[label];  g_logits[v] = factor * (softmax(logits)[v] - (v == label))
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace bitaxon::cpu::formulas {

/// Returns log p and writes g_logits.
template <class T>
double cross_entropy(const T* logits, std::int64_t n, std::int64_t label, double factor,
                     T* g_logits) {
  const double at_label = static_cast<double>(logits[label]);
  double largest = at_label;
  for (std::int64_t v = 0; v < n; ++v) largest = std::max(largest, static_cast<double>(logits[v]));
  // The sum leaves out the label, so that it keeps its relative precision if p is close to 1. A NaN
  // reaches the sum, because no comparison above removes it.
  double others = 0;
  for (std::int64_t v = 0; v < n; ++v)
    if (v != label) others += std::exp(static_cast<double>(logits[v]) - largest);
  const double own = std::exp(at_label - largest);
  const double total = others + own;
  for (std::int64_t v = 0; v < n; ++v)
    g_logits[v] = static_cast<T>(
        v == label ? -factor * others / total
                   : factor * std::exp(static_cast<double>(logits[v]) - largest) / total);
  return at_label == largest ? -std::log1p(others) : at_label - largest - std::log(total);
}

}  // namespace bitaxon::cpu::formulas

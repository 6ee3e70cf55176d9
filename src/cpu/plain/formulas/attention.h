// Attention of one head of queries and its gradient, over keys [first, position]:
//   P = softmax(q . k_j / sqrt(d));  y = sum_j P_j v_j
//   dP_j = g_y . v_j;  dS_j = P_j * (dP_j - dot(g_y, y)) / sqrt(d)
//   g_q = sum_j dS_j k_j;  g_k_j += dS_j q;  g_v_j += P_j g_y
// T is the type of q, y and their gradients: float in kernels, double in tests of the gradients.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace bitaxon::cpu::formulas {

/// A head of queries in one row. `key(j, c)` and `value(j, c)` give element c of the head of keys and
/// values at position j.
template <class T>
struct AttentionRow {
  std::int64_t head_dim, first, position;
  const T* q;

  double scale() const { return 1.0 / std::sqrt(static_cast<double>(head_dim)); }
  template <class Row>
  double dot_with(const T* x, const Row& row, std::int64_t j) const {
    double sum = 0;
    for (std::int64_t c = 0; c < head_dim; ++c) sum += static_cast<double>(x[c]) * row(j, c);
    return sum;
  }

  /// What the softmax needs: P_j = exp(score_j - largest) / total.
  struct Softmax {
    double largest = -std::numeric_limits<double>::infinity();
    double total = 0;
  };
  template <class Key>
  Softmax softmax(const Key& key) const {
    Softmax made;
    for (std::int64_t j = first; j <= position; ++j)
      made.largest = std::max(made.largest, dot_with(q, key, j) * scale());
    for (std::int64_t j = first; j <= position; ++j)
      made.total += std::exp(dot_with(q, key, j) * scale() - made.largest);
    return made;
  }
  template <class Key>
  double weight(const Softmax& of, const Key& key, std::int64_t j) const {
    return std::exp(dot_with(q, key, j) * scale() - of.largest) / of.total;
  }

  template <class Key, class Value>
  void forward(const Key& key, const Value& value, T* y) const {
    const Softmax of = softmax(key);
    for (std::int64_t c = 0; c < head_dim; ++c) {
      double sum = 0;
      for (std::int64_t j = first; j <= position; ++j) sum += weight(of, key, j) * value(j, c);
      y[c] = static_cast<T>(sum);
    }
  }

  /// The gradient of the score of key j, which is q . k_j / sqrt(d).
  /// along  dot(g_y, y)
  template <class Value>
  double score_gradient(double weight_of_j, const Value& value, std::int64_t j, const T* g_y,
                        double along) const {
    return weight_of_j * (dot_with(g_y, value, j) - along) * scale();
  }

  /// sums  [d]: scratch
  template <class Key, class Value>
  void backward_q(const Softmax& of, const Key& key, const Value& value, const T* g_y, double along,
                  double* sums, T* g_q) const {
    std::fill_n(sums, head_dim, 0.0);
    for (std::int64_t j = first; j <= position; ++j) {
      const double g = score_gradient(weight(of, key, j), value, j, g_y, along);
      for (std::int64_t c = 0; c < head_dim; ++c) sums[c] += g * key(j, c);
    }
    for (std::int64_t c = 0; c < head_dim; ++c) g_q[c] = static_cast<T>(sums[c]);
  }

  /// Adds the gradients of key j and value j.
  /// g_key, g_value  [d]
  template <class Key, class Value>
  void add_backward_kv(const Softmax& of, const Key& key, const Value& value, std::int64_t j,
                       const T* g_y, double along, double* g_key, double* g_value) const {
    const double p = weight(of, key, j);
    const double g = score_gradient(p, value, j, g_y, along);
    for (std::int64_t c = 0; c < head_dim; ++c) {
      g_key[c] += g * static_cast<double>(q[c]);
      g_value[c] += p * static_cast<double>(g_y[c]);
    }
  }
};

}  // namespace bitaxon::cpu::formulas

#include "model_tests/plain_math.h"

#include <algorithm>
#include <cmath>

namespace bitaxon::test {

double silu(double x) { return x / (1 + std::exp(-x)); }

Row product(const CapturedWeight& weight, const Row& x, std::size_t matrix) {
  const auto rows = static_cast<std::size_t>(weight.shape[1]);
  const auto cols = static_cast<std::size_t>(weight.shape[2]);
  Row y(rows, 0.0);
  for (std::size_t o = 0; o < rows; ++o)
    for (std::size_t i = 0; i < cols; ++i)
      y[o] += static_cast<double>(weight.values[(matrix * rows + o) * cols + i]) * x[i];
  return y;
}

Row rms(const std::vector<float>& w, const Row& x, double eps) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  const double scale = 1 / std::sqrt(sum / static_cast<double>(x.size()) + eps);
  Row y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = static_cast<double>(w[i]) * x[i] * scale;
  return y;
}

Rows attend(const Rows& q, const Rows& k, const Rows& v, const PlainAttention& how) {
  Rows out;
  for (std::size_t i = 0; i < q.size(); ++i) {
    Row y(q[i].size(), 0.0);
    for (std::size_t first = 0; first < y.size(); first += how.head_dim) {
      const std::size_t shared = first / how.head_dim / how.group * how.head_dim;
      // The attention weights of all positions of the sequence. The mask decides which positions
      // are visible.
      Row p(q.size(), 0.0);
      double largest = -INFINITY;
      const auto visible = [&](std::size_t j) {
        return j <= i && (!how.window || static_cast<std::int64_t>(i - j) < *how.window);
      };
      for (std::size_t j = 0; j < p.size(); ++j) {
        if (!visible(j)) continue;
        for (std::size_t c = 0; c < how.head_dim; ++c) p[j] += q[i][first + c] * k[j][shared + c];
        p[j] /= std::sqrt(static_cast<double>(how.head_dim));
        largest = std::max(largest, p[j]);
      }
      double total = 0;
      for (std::size_t j = 0; j < p.size(); ++j) {
        p[j] = visible(j) ? std::exp(p[j] - largest) : 0.0;
        total += p[j];
      }
      for (std::size_t j = 0; j < p.size(); ++j)
        for (std::size_t c = 0; c < how.head_dim; ++c)
          y[first + c] += p[j] / total * v[j][shared + c];
    }
    out.push_back(std::move(y));
  }
  return out;
}

}  // namespace bitaxon::test

// The parts of a model in float64, directly from their definitions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "support/wrapped_backend.h"

namespace bitaxon::test {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

double silu(double x);

/// The product of a matrix and x. `matrix` is the number of the matrix in the weight.
Row product(const CapturedWeight& weight, const Row& x, std::size_t matrix = 0);

/// w * x / sqrt(mean(x^2) + eps)
Row rms(const std::vector<float>& w, const Row& x, double eps);

struct PlainAttention {
  std::size_t head_dim = 0;
  std::size_t group = 1;                    ///< heads of queries that share a head of keys
  std::optional<std::int64_t> window = {};  ///< positions that a row sees, its own included
};

/// Causal attention of all rows of a sequence.
Rows attend(const Rows& q, const Rows& k, const Rows& v, const PlainAttention& how);

}  // namespace bitaxon::test
